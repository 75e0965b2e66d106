#pragma once

// An HTTP/2 relay between a client and a server of the test.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/http2_session.h"
#include "mediator/test_relay.h"

namespace microagent::mediator {

using http::HeaderList;
using http::Http2Error;
using http::Http2Session;
using http::StreamId;

// A client or a server of the test: its session, and what it was told.
class Peer final : public http::Http2Events {
 public:
  struct Seen {
    HeaderList fields, trailers;
    std::vector<HeaderList> informational;
    std::string data;
    bool ended = false, closed = false;
    std::optional<Http2Error> reset;
  };

  Peer(Http2Session::Role role, Fd& socket, bool connect_protocol = false)
      : session({role, connect_protocol, {}}, *this), socket_(socket) {}

  // What came is taken, what is to be sent is sent, as far as the socket has room.
  void turn() {
    if (const auto some = reads ? arrived(socket_) : std::nullopt) {
      if (some->empty()) gone = true;
      if (!some->empty()) session.feed(*some, monotonic_ns());
    }
    if (output_.empty()) session.take_output(output_);
    while (!output_.empty()) {
      const ssize_t count = ::send(socket_.get(), output_.data(), output_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count <= 0) break;
      output_.erase(output_.begin(), output_.begin() + count);
      if (output_.empty()) session.take_output(output_);
    }
  }

  // Everything is in the socket.
  bool has_sent() const { return output_.empty() && !session.wants_write(); }

  void on_headers(StreamId stream, HeaderList fields, bool end) override {
    seen[stream].fields = std::move(fields);
    seen[stream].ended = end;
    last = stream;
  }
  void on_informational(StreamId stream, HeaderList fields) override {
    seen[stream].informational.push_back(std::move(fields));
  }
  void on_data(StreamId stream, ByteView bytes, bool end) override {
    seen[stream].data.append(bytes.begin(), bytes.end());
    seen[stream].ended = end;
    if (consumes) session.consume(stream, bytes.size());
  }
  void on_trailers(StreamId stream, HeaderList fields) override {
    seen[stream].trailers = std::move(fields);
    seen[stream].ended = true;
  }
  void on_sent(StreamId, std::size_t) override {}
  void on_reset(StreamId stream, Http2Error error) override { seen[stream].reset = error; }
  void on_closed(StreamId stream) override { seen[stream].closed = true; }
  void on_goaway(StreamId, Http2Error) override { told_to_go = true; }
  void on_settings() override {}
  void on_pong(std::uint64_t) override {}

  Http2Session session;
  std::map<StreamId, Seen> seen;
  StreamId last = 0;
  bool consumes = true, reads = true, gone = false, told_to_go = false;

 private:
  Fd& socket_;
  std::vector<std::uint8_t> output_;
};

inline HeaderList request(std::string_view path, std::string_view method = "GET") {
  return {{":method", std::string(method)},
          {":scheme", "https"},
          {":authority", "a.example"},
          {":path", std::string(path)},
          {"x-order", "1"},
          {"cookie", "a=b"},
          {"cookie", "c=d"}};
}

// Without what may not be indexed, which is for each hop to say.
inline std::vector<std::string> texts(const HeaderList& fields) {
  std::vector<std::string> lines;
  for (const http::Header& field : fields) lines.push_back(field.name + ": " + field.value);
  return lines;
}

class Http2RelayTest : public RelayTest {
 protected:
  explicit Http2RelayTest(std::unique_ptr<TestGate> gate = std::make_unique<TestGate>()) : RelayTest(std::move(gate)) {
    start(relay_http2);
  }

  bool until(const std::function<bool()>& done) {
    return loop_.until([&] {
      client_.turn();
      server_.turn();
      return done();
    });
  }

  StreamId ask(const HeaderList& fields, bool end = true) {
    const auto stream = client_.session.submit_request(fields, end);
    EXPECT_TRUE(stream);
    return stream.value_or(0);
  }
  // The server's number of the request that came last.
  StreamId next_request(StreamId before = 0) {
    EXPECT_TRUE(until([&] { return server_.last > before; }));
    return server_.last;
  }
  std::string status(StreamId stream) { return std::string(header_value(client_.seen[stream].fields, ":status")); }

  void deliver_after_the_end(bool says_so) {
    client_.consumes = client_.reads = false;
    const std::string body(900 * 1024, 'x');
    const StreamId asked = ask(request("/big"));
    const StreamId served = next_request();
    if (says_so) server_.session.goaway(Http2Error::no_error);
    ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
    ASSERT_TRUE(server_.session.send_data(served, text_bytes(body), true));
    ASSERT_TRUE(until([&] { return server_.seen[served].closed && server_.has_sent(); }));
    upstream_.reset();
    int turns = 0;
    ASSERT_TRUE(until([&] { return ++turns == 50; }));
    client_.consumes = client_.reads = true;
    ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
    EXPECT_EQ(client_.seen[asked].data.size(), body.size());
    EXPECT_TRUE(client_.seen[asked].ended);
    EXPECT_EQ(client_.seen[asked].reset, std::nullopt);
    EXPECT_TRUE(until([&] { return client_.gone; }));
    EXPECT_TRUE(is_done());
    EXPECT_EQ(gate_.stories.at(0).error, "");
  }

  Peer client_{Http2Session::Role::client, guest_};
  Peer server_{Http2Session::Role::server, upstream_, true};
};

}  // namespace microagent::mediator

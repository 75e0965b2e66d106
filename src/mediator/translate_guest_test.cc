// HTTP/2 towards the guest, HTTP/1.1 towards its upstream.

#include <fmt/format.h>

#include <deque>

#include "http/websocket.h"
#include "mediator/test_http2_relay.h"

namespace microagent::mediator {
namespace {

// Gives every lane a connection, whose far end is the test's.
class LanesGate final : public TestGate {
 public:
  std::unique_ptr<RequestGate> open_lane() override {
    if (lanes.size() == limit) return nullptr;
    auto ends = socket_pair(SOCK_STREAM);
    lanes.push_back(std::move(ends.first));
    auto stream = plain_stream(std::move(*watch(loop->io.get_executor(), std::move(ends.second))));
    return std::make_unique<Lane>(*this, std::move(stream));
  }

  Refused no_room(const http::RequestMessage& request) override {
    without_lane.push_back(request.path);
    return {503, "no lane", "no lane\n"};
  }
  std::uint32_t window() const override { return window_; }

  explicit LanesGate(std::uint32_t window) : window_(window) {}

  TestLoop* loop = nullptr;
  std::deque<Fd> lanes;
  std::vector<std::string> without_lane;
  int open = 0;
  std::size_t limit = 1000;
  int left_clean = 0;

 private:
  class Lane final : public RequestGate {
   public:
    Lane(LanesGate& gate, StreamPtr stream) : gate_(gate), stream_(std::move(stream)) { ++gate_.open; }
    ~Lane() override { --gate_.open; }
    std::optional<Refused> admit(http::RequestMessage& request, RequestStory& story) override {
      return gate_.admit(request, story);
    }
    Refused refuse_malformed(const std::string& fault, bool json) override {
      return gate_.refuse_malformed(fault, json);
    }
    Refused upstream_failed(const std::string& why, bool json) override { return gate_.upstream_failed(why, json); }
    void record(const RequestStory& story) override { gate_.record(story); }
    Stream* upstream() override { return stream_.get(); }
    void leave_upstream_clean() override { ++gate_.left_clean; }

   private:
    LanesGate& gate_;
    StreamPtr stream_;
  };

  std::uint32_t window_;
};

asio::awaitable<void> relay_to_lanes(Stream& guest, Stream&, http::Scheme scheme, RequestGate& gate) {
  co_await relay_http2_to_http1(guest, scheme, gate);
}

class TranslateGuestTest : public RelayTest {
 protected:
  explicit TranslateGuestTest(std::uint32_t window = http::Http2Limits().connection_window)
      : RelayTest(std::make_unique<LanesGate>(window)) {
    lanes().loop = &loop_;
    start(relay_to_lanes);
  }

  LanesGate& lanes() { return static_cast<LanesGate&>(gate_); }

  bool until(const std::function<bool()>& done) {
    return loop_.until([&] {
      client_.turn();
      return done();
    });
  }
  StreamId ask(const HeaderList& fields, bool end = true) {
    const auto stream = client_.session.submit_request(fields, end);
    EXPECT_TRUE(stream);
    return stream.value_or(0);
  }
  const Fd& lane(std::size_t index = 0) {
    EXPECT_TRUE(until([&] { return lanes().lanes.size() > index; }));
    return lanes().lanes.at(index);
  }
  // The same once a request has come there.
  const Fd& asked_lane(std::size_t index = 0) {
    const Fd& end = lane(index);
    EXPECT_TRUE(until([&] { return arrived(end).has_value(); }));
    return end;
  }
  // Exactly these come next at this end.
  void expect_there(const Fd& end, std::string_view text) {
    std::string got;
    until([&] {
      const auto some = arrived(end);
      if (some) got.append(some->begin(), some->end());
      return got.size() >= text.size() || (some && some->empty());
    });
    EXPECT_EQ(got, text);
  }
  bool is_closed(StreamId stream) {
    return until([&] { return client_.seen[stream].closed; });
  }
  std::string status(StreamId stream) { return std::string(header_value(client_.seen[stream].fields, ":status")); }

  Peer client_{Http2Session::Role::client, guest_};
};

constexpr std::string_view kRest = "\r\nhost: a.example\r\nx-order: 1\r\ncookie: a=b; c=d\r\n";

TEST_F(TranslateGuestTest, CarriesARequestAndItsResponse) {
  const StreamId asked = ask(request("/a?b"));
  expect_there(lane(), fmt::format("GET /a?b HTTP/1.1{}\r\n", kRest));
  say(lane(),
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
      "HTTP/1.1 200 OK\r\nX-One: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(is_closed(asked));
  const auto& seen = client_.seen[asked];
  ASSERT_EQ(seen.informational.size(), 1u);
  EXPECT_EQ(texts(seen.informational[0]), (std::vector<std::string>{":status: 103", "link: </a>"}));
  EXPECT_EQ(texts(seen.fields), (std::vector<std::string>{":status: 200", "x-one: 1", "content-length: 5"}));
  EXPECT_EQ(seen.data, "hello");
  EXPECT_EQ(seen.reset, std::nullopt);
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1 && lanes().left_clean == 1; }));
  EXPECT_EQ(gate_.stories[0].method, "GET");
  EXPECT_EQ(gate_.stories[0].path, "/a");
  EXPECT_EQ(gate_.stories[0].status, 200);
  EXPECT_EQ(gate_.stories[0].bytes_in, 5u);
  EXPECT_EQ(gate_.stories[0].error, "");
}

TEST_F(TranslateGuestTest, CarriesBodiesAndTrailersAsTheyCome) {
  const StreamId asked = ask(request("/up", "POST"), false);
  expect_there(lane(), fmt::format("POST /up HTTP/1.1{}transfer-encoding: chunked\r\n\r\n", kRest));
  ASSERT_TRUE(client_.session.send_data(asked, text_bytes("one"), false));
  expect_there(lane(), "3\r\none\r\n");
  say(lane(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n");
  ASSERT_TRUE(until([&] { return client_.seen[asked].data == "yes"; }));
  ASSERT_TRUE(client_.session.send_data(asked, text_bytes("two"), false));
  ASSERT_TRUE(client_.session.send_trailers(asked, {{"x-sum", "7"}}));
  expect_there(lane(), "3\r\ntwo\r\n0\r\nx-sum: 7\r\n\r\n");
  say(lane(), "0\r\nGrpc-Status: 0\r\n\r\n");
  ASSERT_TRUE(is_closed(asked));
  EXPECT_EQ(client_.seen[asked].trailers, (HeaderList{{"grpc-status", "0"}}));
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].bytes_out, 6u);
}

TEST_F(TranslateGuestTest, SaysNothingOfABodyThatThereIsNot) {
  ask(request("/put", "PUT"));
  expect_there(lane(), fmt::format("PUT /put HTTP/1.1{}content-length: 0\r\n\r\n", kRest));
}

TEST_F(TranslateGuestTest, CarriesStreamsSideBySide) {
  const StreamId first = ask(request("/1")), second = ask(request("/2"));
  expect_there(lane(0), fmt::format("GET /1 HTTP/1.1{}\r\n", kRest));
  expect_there(lane(1), fmt::format("GET /2 HTTP/1.1{}\r\n", kRest));
  say(lane(1), "HTTP/1.1 204 No Content\r\n\r\n");
  ASSERT_TRUE(is_closed(second));
  EXPECT_EQ(status(second), "204");
  say(lane(0), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
  lanes().lanes[0].reset();
  ASSERT_TRUE(is_closed(first));
  EXPECT_EQ(client_.seen[first].data, "until the end");
  EXPECT_EQ(client_.seen[first].reset, std::nullopt);
}

// More than there may be at a time: the rest take their turns, and none is lost.
TEST_F(TranslateGuestTest, CarriesManyStreams) {
  std::vector<StreamId> asked;
  std::map<const Fd*, bool> answered;
  ASSERT_TRUE(until([&] {
    while (asked.size() < 240 && client_.session.may_open()) asked.push_back(ask(request("/")));
    for (const Fd& end : lanes().lanes) {
      if (answered[&end] || !arrived(end)) continue;
      answered[&end] = true;
      say(end, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    return asked.size() == 240 &&
           std::ranges::all_of(asked, [&](StreamId stream) { return client_.seen[stream].closed; });
  }));
  for (const StreamId stream : asked) EXPECT_EQ(client_.seen[stream].data, "ok");
  ASSERT_TRUE(until([&] { return gate_.stories.size() == asked.size(); }));
}

class NarrowGuestTest : public TranslateGuestTest {
 protected:
  static constexpr std::uint32_t kWindow = 64 * 1024;
  NarrowGuestTest() : TranslateGuestTest(kWindow) {}
};

// As many as may be at a time, each with a body that takes the window of them all more than once.
TEST_F(NarrowGuestTest, NeverHasUploadsWaitForEachOther) {
  const std::string body(kWindow + kWindow / 2, 'x');
  std::vector<StreamId> asked;
  std::map<const Fd*, std::string> got;
  ASSERT_TRUE(until([&] { return client_.session.has_peer_settings(); }));
  while (client_.session.may_open()) {
    HeaderList fields = request("/up", "POST");
    fields.push_back({"content-length", std::to_string(body.size())});
    asked.push_back(ask(fields, false));
    ASSERT_TRUE(client_.session.send_data(asked.back(), text_bytes(body), true));
  }
  ASSERT_GT(asked.size(), 16u);
  ASSERT_TRUE(until([&] {
    for (const Fd& end : lanes().lanes) {
      const auto some = arrived(end);
      if (!some || some->empty()) continue;
      std::string& all = got[&end];
      all.append(some->begin(), some->end());
      if (all.size() < body.size() || all.size() - all.find("\r\n\r\n") - 4 < body.size()) continue;
      say(end, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    return std::ranges::all_of(asked, [&](StreamId stream) { return client_.seen[stream].closed; });
  }));
  for (const StreamId stream : asked) EXPECT_EQ(client_.seen[stream].data, "ok");
}

// What a guest has not taken is memory, for which there is a lane's share.
TEST_F(TranslateGuestTest, KeepsTheLaneOfAResponseThatIsNotTaken) {
  client_.consumes = false;
  const std::string body(http::Http2Limits().stream_window + 100 * 1024, 'x');
  const StreamId asked = ask(request("/big"));
  const std::string response = fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
  const Fd& end = asked_lane();
  std::size_t sent = 0;
  ASSERT_TRUE(until([&] {
    const ssize_t count =
        ::send(end.get(), response.data() + sent, response.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) sent += static_cast<std::size_t>(count);
    return sent == response.size() && gate_.stories.size() == 1 && lanes().left_clean == 1;
  }));
  int turns = 0;
  ASSERT_TRUE(until([&] { return ++turns == 20; }));
  EXPECT_EQ(lanes().open, 1);
  client_.consumes = true;
  client_.session.consume(asked, client_.seen[asked].data.size());
  ASSERT_TRUE(is_closed(asked));
  EXPECT_EQ(client_.seen[asked].data.size(), body.size());
  EXPECT_TRUE(until([&] { return lanes().open == 0; }));
}

TEST_F(TranslateGuestTest, RecordsWhatIsResetBeforeItsTurn) {
  ASSERT_TRUE(until([&] { return client_.session.has_peer_settings(); }));
  const StreamId asked = ask(request("/hasty"));
  client_.turn();
  client_.session.reset(asked, Http2Error::cancel);
  client_.turn();
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].path, "/hasty");
  EXPECT_EQ(gate_.stories[0].error, "the guest reset the stream");
  EXPECT_TRUE(lanes().lanes.empty());
}

TEST_F(TranslateGuestTest, AnswersWhatIsRefused) {
  const StreamId refused = ask(request("/refused"));
  ASSERT_TRUE(is_closed(refused));
  EXPECT_EQ(status(refused), "403");
  EXPECT_EQ(client_.seen[refused].data, "no\n");
  HeaderList call = request("/refused", "POST");
  call.push_back({"content-type", "application/grpc"});
  const StreamId grpc = ask(call);
  ASSERT_TRUE(is_closed(grpc));
  EXPECT_EQ(status(grpc), "200");
  EXPECT_EQ(header_value(client_.seen[grpc].fields, "grpc-status"), "7");
  HeaderList wrong = request("/");
  wrong.push_back({"host", "b.example"});
  const StreamId malformed = ask(wrong);
  ASSERT_TRUE(is_closed(malformed));
  EXPECT_EQ(status(malformed), "400");
  for (const Fd& end : lanes().lanes) {
    const auto heard = arrived(end);
    EXPECT_TRUE(!heard || heard->empty()) << "it was sent on";
  }
}

TEST_F(TranslateGuestTest, SaysWhereItsUpstreamFails) {
  const StreamId silent = ask(request("/silent"));
  asked_lane(0);
  lanes().lanes[0].reset();
  ASSERT_TRUE(is_closed(silent));
  EXPECT_EQ(status(silent), "502");
  const StreamId cut = ask(request("/cut"));
  say(asked_lane(1), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  ASSERT_TRUE(until([&] { return client_.seen[cut].data == "half"; }));
  lanes().lanes[1].reset();
  ASSERT_TRUE(is_closed(cut));
  EXPECT_EQ(client_.seen[cut].reset, Http2Error::internal_error);
  lanes().limit = 2;
  const StreamId refused = ask(request("/more"));
  ASSERT_TRUE(is_closed(refused));
  EXPECT_EQ(status(refused), "503");
  EXPECT_EQ(lanes().without_lane, std::vector<std::string>{"/more"});
}

TEST_F(TranslateGuestTest, LetsGoOfWhatTheGuestWantsNoMore) {
  const StreamId asked = ask(request("/events"));
  say(asked_lane(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n");
  ASSERT_TRUE(until([&] { return client_.seen[asked].data == "."; }));
  client_.session.reset(asked, Http2Error::cancel);
  ASSERT_TRUE(until([&] {
    const auto some = arrived(lanes().lanes[0]);
    return some && some->empty();
  }));
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_NE(gate_.stories[0].error, "");
  EXPECT_EQ(lanes().left_clean, 0);
}

// A guest that does not read stops the upstream, and one whose upstream does not is stopped itself.
TEST_F(TranslateGuestTest, StopsWhoSendsToWhoDoesNotRead) {
  client_.consumes = false;
  ask(request("/big"));
  say(asked_lane(), "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
  const std::string piece(64 * 1024, 'x');
  std::size_t sent = 0;
  const auto send_more = [&] {
    for (;;) {
      const ssize_t count = ::send(lane().get(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<std::size_t>(count);
    }
  };
  std::size_t before = 1;
  for (int turns = 0; turns < 200 && sent != before; ++turns) {
    before = sent;
    for (int idle = 0; idle < 20; ++idle) {
      send_more();
      client_.turn();
      loop_.io.restart();
      loop_.io.run_one_for(std::chrono::milliseconds(1));
    }
  }
  EXPECT_EQ(sent, before);
  EXPECT_LT(sent, 8u * 1024 * 1024);
}

HeaderList websocket() {
  return {{":method", "CONNECT"},         {":protocol", "websocket"}, {":scheme", "https"},
          {":authority", "a.example"},    {":path", "/chat"},         {"sec-websocket-version", "13"},
          {"sec-websocket-protocol", "x"}};
}

// The key that the request has been given.
std::string key_in(std::string_view head) {
  constexpr std::string_view kName = "sec-websocket-key: ";
  const std::size_t at = head.find(kName);
  EXPECT_NE(at, std::string_view::npos) << head;
  return std::string(head.substr(at + kName.size(), 24));
}

TEST_F(TranslateGuestTest, CarriesAWebSocket) {
  ASSERT_TRUE(until([&] { return client_.session.peer_takes_connect_protocol(); }));
  const StreamId chat = ask(websocket(), false);
  ASSERT_TRUE(client_.session.send_data(chat, text_bytes("early"), false));
  std::string head;
  const Fd& end = lane();
  ASSERT_TRUE(until([&] {
    const auto some = arrived(end);
    if (some) head.append(some->begin(), some->end());
    return head.ends_with("\r\n\r\n");
  }));
  EXPECT_TRUE(
      head.starts_with("GET /chat HTTP/1.1\r\nhost: a.example\r\nsec-websocket-version: 13\r\n"
                       "sec-websocket-protocol: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"))
      << head;
  say(end,
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Accept: " +
          http::websocket_accept(key_in(head)) + "\r\n\r\n");
  expect_there(end, "early");
  EXPECT_EQ(texts(client_.seen[chat].fields), (std::vector<std::string>{":status: 200", "sec-websocket-protocol: x"}));
  say(end, "down");
  ASSERT_TRUE(until([&] { return client_.seen[chat].data == "down"; }));
  ASSERT_TRUE(client_.session.send_data(chat, text_bytes("up"), true));
  expect_there(end, "up");
  ASSERT_TRUE(until([&] {
    const auto some = arrived(end);
    return some && some->empty();
  }));
  lanes().lanes[0].reset();
  ASSERT_TRUE(is_closed(chat));
  EXPECT_EQ(client_.seen[chat].reset, std::nullopt);
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].status, 101);
}

TEST_F(TranslateGuestTest, BelievesNoWebSocketThatDidNotReadTheKey) {
  const StreamId chat = ask(websocket(), false);
  say(asked_lane(),
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  ASSERT_TRUE(is_closed(chat));
  EXPECT_EQ(client_.seen[chat].reset, Http2Error::internal_error);
}

// Over HTTP/2 a 200 opens it.
TEST_F(TranslateGuestTest, TakesNoAnswerWithoutAnUpgradeForAWebSocket) {
  const StreamId chat = ask(websocket(), false);
  say(asked_lane(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(is_closed(chat));
  EXPECT_EQ(status(chat), "502");
  EXPECT_NE(client_.seen[chat].data.find("WebSocket"), std::string::npos) << client_.seen[chat].data;
}

// What a guest says on a WebSocket that was refused is no request.
TEST_F(TranslateGuestTest, SendsNothingBehindAWebSocketThatIsRefused) {
  const StreamId chat = ask(websocket(), false);
  ASSERT_TRUE(client_.session.send_data(chat, text_bytes("GET /smuggled HTTP/1.1\r\nhost: a.example\r\n\r\n"), false));
  say(asked_lane(), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(is_closed(chat));
  EXPECT_EQ(status(chat), "404");
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].path, "/chat");
}

}  // namespace
}  // namespace microagent::mediator

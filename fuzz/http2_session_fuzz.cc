// What a peer may send to an HTTP/2 session, as its client or as its server: frames that the input describes, with
// whatever payload it has. The owner answers, consumes, resets and ends streams meanwhile.

#include <array>
#include <set>
#include <string>

#include "base/check.h"
#include "http/http2_message.h"
#include "http/http2_session.h"

namespace microagent::http {
namespace {

class Owner final : public Http2Events {
 public:
  Owner(Http2Session::Role role, unsigned habits)
      : role_(role), habits_(habits), session_({role, true, limits()}, *this) {}

  Http2Session& session() { return session_; }

  void on_headers(StreamId stream, HeaderList fields, bool end) override {
    check_live(stream);
    if (role_ == Http2Session::Role::client) {
      ResponseMessage response;
      if (parse_http2_response(fields, response) == MessageFault::none)
        MICROAGENT_CHECK(is_sendable(http2_fields(response)));
      return;
    }
    MICROAGENT_CHECK(session_.open_streams() <= limits().max_streams + 1);
    RequestMessage request;
    if (parse_http2_request(fields, request) == MessageFault::none) check_bridge(request, !end);
    if ((habits_ & 1) != 0) return;  // answers never
    (void)session_.submit_informational(stream, {{":status", "103"}});
    MICROAGENT_CHECK(session_.submit_response(stream, {{":status", "200"}, {"a", "b"}}, false));
    MICROAGENT_CHECK(session_.send_data(stream, kText, (habits_ & 2) != 0));
    if ((habits_ & 8) != 0) session_.stop_request(stream, Http2Error::no_error);
  }
  void on_informational(StreamId stream, HeaderList) override { check_live(stream); }
  void on_data(StreamId stream, ByteView bytes, bool) override {
    check_live(stream);
    received_ += bytes.size();
    MICROAGENT_CHECK((habits_ & 4) == 0 || received_ <= limits().connection_window);
    if ((habits_ & 4) == 0) session_.consume(stream, bytes.size());
    if ((habits_ & 8) != 0) session_.reset(stream, Http2Error::cancel);
  }
  void on_trailers(StreamId stream, HeaderList) override {
    check_live(stream);
    (void)session_.send_trailers(stream, {{"t", "1"}});
  }
  void on_sent(StreamId stream, std::size_t) override { check_live(stream); }
  void on_reset(StreamId stream, Http2Error) override {
    check_live(stream);
    if ((habits_ & 4) != 0) received_ = 0;  // the session gives the bytes back
  }
  void on_closed(StreamId stream) override {
    MICROAGENT_CHECK(closed_.insert(stream).second);
    if ((habits_ & 4) != 0) received_ = 0;
  }
  void on_goaway(StreamId, Http2Error) override {}
  void on_settings() override {}
  void on_pong(std::uint64_t) override {}

 private:
  static constexpr std::array<std::uint8_t, 40> kText{};

  static Http2Limits limits() {
    Http2Limits limits;
    limits.max_streams = 8;
    limits.connection_window = 70'000;
    return limits;
  }
  void check_live(StreamId stream) const { MICROAGENT_CHECK(!closed_.contains(stream)); }

  // Whatever comes as HTTP/2 goes out as a request that has one reading.
  static void check_bridge(const RequestMessage& request, bool body) {
    MICROAGENT_CHECK(is_sendable(http2_fields(request)));
    const std::string head = encode_head(as_http1(request, body, "a2V5"));
    MICROAGENT_CHECK(head.find("\r\n\r\n") == head.size() - 4);
  }

  Http2Session::Role role_;
  unsigned habits_;
  std::size_t received_ = 0;
  std::set<StreamId> closed_;
  Http2Session session_;
};

// Two bytes of length, type, flags, stream, and as much payload as there is.
bool next_frame(ByteView& input, std::vector<std::uint8_t>& out) {
  if (input.size() < 4) return false;
  std::size_t length = input[0];
  const std::uint8_t type = input[1] % 12, flags = input[2], stream = input[3] % 16;
  input = input.subspan(4);
  length = std::min(length, input.size());
  out = {0, 0, static_cast<std::uint8_t>(length), type, flags, 0, 0, 0, stream};
  out.insert(out.end(), input.begin(), input.begin() + static_cast<std::ptrdiff_t>(length));
  input = input.subspan(length);
  return true;
}

void run(Http2Session::Role role, unsigned habits, ByteView input, bool raw) {
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  constexpr std::array<std::uint8_t, 9> kSettings{0, 0, 0, 4, 0, 0, 0, 0, 0};
  Owner owner(role, habits);
  Http2Session& session = owner.session();
  std::vector<std::uint8_t> out;
  std::uint64_t now = 1;
  if (role == Http2Session::Role::server) {
    session.feed({reinterpret_cast<const std::uint8_t*>(kPreface.data()), kPreface.size()}, now);
  }
  session.feed(kSettings, now);
  for (int i = 0; role == Http2Session::Role::client && i < 4; ++i) {
    (void)session.submit_request({{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}},
                                 i == 0);
  }
  session.take_output(out);
  if (raw) session.feed(input, now);
  std::vector<std::uint8_t> frame;
  while (!raw && next_frame(input, frame) && session.feed(frame, ++now)) {
    if ((habits & 16) == 0) session.take_output(out);
    MICROAGENT_CHECK(out.size() < (1U << 24));
  }
  while (session.take_output(out) > 0) {
  }
  if (session.hit_limit() != Http2Limit::none) MICROAGENT_CHECK(session.open_streams() == 0);
}

}  // namespace
}  // namespace microagent::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace microagent::http;
  if (size == 0) return 0;
  const auto role = (data[0] & 0x80) != 0 ? Http2Session::Role::client : Http2Session::Role::server;
  run(role, data[0] & 0x1f, {data + 1, size - 1}, (data[0] & 0x40) != 0);
  return 0;
}

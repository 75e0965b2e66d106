// HTTP/1 towards the guest, HTTP/2 towards its upstream.

#include <fmt/format.h>

#include "mediator/test_http2_relay.h"

namespace microagent::mediator {
namespace {

constexpr const char* kGet = "GET /a?b HTTP/1.1\r\nHost: a.example\r\nX-Order: 1\r\n\r\n";
constexpr const char* kChat =
    "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

class TranslateUpstreamTest : public RelayTest {
 protected:
  TranslateUpstreamTest() { start(relay_http1_to_http2); }
  ~TranslateUpstreamTest() override { gate_.replacement.reset(); }

  bool until(const std::function<bool()>& done) {
    return loop_.until([&] {
      server_->turn();
      return done();
    });
  }
  StreamId next_request(StreamId before = 0) {
    EXPECT_TRUE(until([&] { return server_->last > before; }));
    return server_->last;
  }
  void answer(StreamId stream, const HeaderList& fields, std::string_view body, const HeaderList& trailers = {}) {
    ASSERT_TRUE(server_->session.submit_response(stream, fields, false));
    ASSERT_TRUE(server_->session.send_data(stream, text_bytes(body), trailers.empty()));
    if (!trailers.empty()) ASSERT_TRUE(server_->session.send_trailers(stream, trailers));
  }
  void expect_guest(std::string_view text) {
    std::string got;
    until([&] {
      const auto some = arrived(guest_);
      if (some) got.append(some->begin(), some->end());
      return got.size() >= text.size() || (some && some->empty());
    });
    EXPECT_EQ(got, text);
  }
  std::string until_guests_end() {
    std::string all;
    EXPECT_TRUE(until([&] {
      const auto some = arrived(guest_);
      if (some) all.append(some->begin(), some->end());
      return some && some->empty();
    }));
    return all;
  }
  // The upstream that takes the first one's place.
  void offer_another() {
    auto ends = socket_pair(SOCK_STREAM);
    other_ = std::move(ends.first);
    gate_.replacement = plain_stream(std::move(*watch(loop_.io.get_executor(), std::move(ends.second))));
  }
  void take_another() {
    ASSERT_TRUE(until([&] { return gate_.replaced == 1; }));
    another_.emplace(Http2Session::Role::server, other_, true);
    server_ = &*another_;
  }

  Fd other_;
  Peer first_{Http2Session::Role::server, upstream_, true};
  std::optional<Peer> another_;
  Peer* server_ = &first_;
};

TEST_F(TranslateUpstreamTest, CarriesRequestsOneAfterTheOther) {
  for (int turn = 0; turn < 3; ++turn) {
    say(guest_, kGet);
    const StreamId served = next_request(server_->last);
    EXPECT_EQ(texts(server_->seen[served].fields),
              (std::vector<std::string>{":method: GET", ":scheme: https", ":authority: a.example", ":path: /a?b",
                                        "x-order: 1"}));
    EXPECT_TRUE(server_->seen[served].ended);
    ASSERT_TRUE(server_->session.submit_informational(served, {{":status", "103"}, {"link", "</a>"}}));
    answer(served, {{":status", "200"}, {"x-one", "1"}, {"content-length", "5"}}, "hello");
    expect_guest(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        "HTTP/1.1 200 OK\r\nx-one: 1\r\ncontent-length: 5\r\n\r\nhello");
  }
  guest_.reset();
  ASSERT_TRUE(is_done());
  ASSERT_EQ(gate_.stories.size(), 3u);
  EXPECT_EQ(gate_.stories[2].status, 200);
  EXPECT_EQ(gate_.stories[2].bytes_in, 5u);
  EXPECT_TRUE(gate_.clean && gate_.session);
}

TEST_F(TranslateUpstreamTest, CarriesBodiesAndTrailersAsTheyCome) {
  say(guest_, "POST /up HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  const StreamId served = next_request();
  ASSERT_TRUE(server_->session.submit_informational(served, {{":status", "100"}}));
  expect_guest("HTTP/1.1 100 Continue\r\n\r\n");
  say(guest_, "3\r\none\r\n");
  ASSERT_TRUE(until([&] { return server_->seen[served].data == "one"; }));
  ASSERT_TRUE(server_->session.submit_response(served, {{":status", "200"}}, false));
  ASSERT_TRUE(server_->session.send_data(served, text_bytes("yes"), false));
  expect_guest("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\n");
  say(guest_, "3\r\ntwo\r\n0\r\nX-Sum: 7\r\n\r\n");
  ASSERT_TRUE(until([&] { return server_->seen[served].ended; }));
  EXPECT_EQ(server_->seen[served].data, "onetwo");
  EXPECT_EQ(server_->seen[served].trailers, (HeaderList{{"x-sum", "7"}}));
  ASSERT_TRUE(server_->session.send_trailers(served, {{"grpc-status", "0"}}));
  expect_guest("0\r\ngrpc-status: 0\r\n\r\n");
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].bytes_out, 6u);
}

TEST_F(TranslateUpstreamTest, KnowsWhatHasNoBody) {
  say(guest_, "HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n");
  const StreamId head = next_request();
  ASSERT_TRUE(server_->session.submit_response(head, {{":status", "200"}, {"content-length", "5"}}, true));
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
  say(guest_, kGet);
  const StreamId none = next_request(head);
  ASSERT_TRUE(server_->session.submit_response(none, {{":status", "304"}}, true));
  expect_guest("HTTP/1.1 304 Not Modified\r\n\r\n");
  say(guest_, kGet);
  const StreamId empty = next_request(none);
  ASSERT_TRUE(server_->session.submit_response(empty, {{":status", "200"}}, true));
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

// A client of HTTP/1.0 knows no chunks: what it is told ends with the connection, and looks whole only where it is.
TEST_F(TranslateUpstreamTest, EndsTheConnectionBehindAnHttp10Response) {
  say(guest_, "GET /a HTTP/1.0\r\nHost: a.example\r\n\r\n");
  answer(next_request(), {{":status", "200"}}, "hello");
  EXPECT_EQ(until_guests_end(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello");
  EXPECT_EQ(gate_.stories.at(0).error, "");
}

TEST_F(TranslateUpstreamTest, NeverTakesHalfAnHttp10ResponseForTheWhole) {
  say(guest_, "GET /a HTTP/1.0\r\nHost: a.example\r\n\r\n");
  const StreamId served = next_request();
  ASSERT_TRUE(server_->session.submit_response(served, {{":status", "200"}}, false));
  ASSERT_TRUE(server_->session.send_data(served, text_bytes("half"), false));
  expect_guest("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf");
  server_->session.reset(served, Http2Error::internal_error);
  ASSERT_TRUE(until([&] { return done_; }));
  EXPECT_EQ(gate_.stories.at(0).error, "the upstream reset the stream: INTERNAL_ERROR");
}

TEST_F(TranslateUpstreamTest, SaysWhatTheUpstreamFailedOf) {
  say(guest_, kGet);
  server_->session.reset(next_request(), Http2Error::internal_error);
  const std::string page = until_guests_end();
  EXPECT_TRUE(page.starts_with("HTTP/1.1 502 ")) << page;
  EXPECT_NE(page.find("INTERNAL_ERROR"), std::string::npos) << page;
}

TEST_F(TranslateUpstreamTest, SaysThatTheUpstreamIsGone) {
  say(guest_, kGet);
  next_request();
  upstream_.reset();
  const std::string page = until_guests_end();
  EXPECT_TRUE(page.starts_with("HTTP/1.1 502 ") && page.find("ended the connection") != std::string::npos) << page;
}

TEST_F(TranslateUpstreamTest, AsksAnotherConnectionWhatTheFirstHasNotLookedAt) {
  offer_another();
  say(guest_, kGet);
  server_->session.reset(next_request(), Http2Error::refused_stream);
  take_another();
  answer(next_request(), {{":status", "200"}, {"content-length", "2"}}, "ok");
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].error, "");
}

TEST_F(TranslateUpstreamTest, LeavesAConnectionThatIsGoingAway) {
  offer_another();
  say(guest_, kGet);
  answer(next_request(), {{":status", "200"}, {"content-length", "2"}}, "ok");
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  server_->session.goaway(Http2Error::no_error);
  ASSERT_TRUE(until([&] { return server_->has_sent(); }));
  upstream_.reset();
  say(guest_, kGet);
  take_another();
  answer(next_request(), {{":status", "200"}, {"content-length", "3"}}, "yes");
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes");
}

// Before the answer has ended; and the connection stays, as if more could come.
TEST_F(TranslateUpstreamTest, LeavesAConnectionThatGoesAwayWithinAnAnswer) {
  offer_another();
  say(guest_, kGet);
  const StreamId served = next_request();
  ASSERT_TRUE(server_->session.submit_response(served, {{":status", "200"}, {"content-length", "2"}}, false));
  server_->session.goaway(Http2Error::no_error);
  ASSERT_TRUE(server_->session.send_data(served, text_bytes("ok"), true));
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  say(guest_, kGet);
  take_another();
  answer(next_request(), {{":status", "200"}, {"content-length", "3"}}, "yes");
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes");
}

TEST_F(TranslateUpstreamTest, SaysThatThereIsNoOtherConnection) {
  say(guest_, kGet);
  server_->session.reset(next_request(), Http2Error::refused_stream);
  EXPECT_TRUE(until_guests_end().starts_with("HTTP/1.1 502 "));
}

TEST_F(TranslateUpstreamTest, RefusesBeforeTheUpstreamHears) {
  say(guest_, "GET /refused HTTP/1.1\r\nHost: a.example\r\n\r\n");
  std::string all;
  ASSERT_TRUE(until([&] {
    const auto some = arrived(guest_);
    if (some) all.append(some->begin(), some->end());
    return all.ends_with("no\n");
  }));
  EXPECT_TRUE(all.starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(server_->seen.empty());
}

TEST_F(TranslateUpstreamTest, CarriesAWebSocket) {
  say(guest_, kChat);
  const StreamId chat = next_request();
  EXPECT_EQ(texts(server_->seen[chat].fields),
            (std::vector<std::string>{":method: CONNECT", ":protocol: websocket", ":scheme: https",
                                      ":authority: a.example", ":path: /chat", "sec-websocket-version: 13"}));
  EXPECT_FALSE(server_->seen[chat].ended);
  ASSERT_TRUE(server_->session.submit_response(chat, {{":status", "200"}, {"sec-websocket-protocol", "x"}}, false));
  expect_guest(
      "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: x\r\nconnection: Upgrade\r\n"
      "upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  say(guest_, "up");
  ASSERT_TRUE(until([&] { return server_->seen[chat].data == "up"; }));
  ASSERT_TRUE(server_->session.send_data(chat, text_bytes("down"), true));
  EXPECT_EQ(until_guests_end(), "down");
}

// The proof is for the key of this side, and the upstream was told none.
TEST_F(TranslateUpstreamTest, ProvesAWebSocketByItself) {
  say(guest_, kChat);
  ASSERT_TRUE(
      server_->session.submit_response(next_request(), {{":status", "200"}, {"sec-websocket-accept", "x"}}, false));
  expect_guest(
      "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
      "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
}

// A body would be the first of the other protocol.
TEST_F(TranslateUpstreamTest, AsksForNoWebSocketWithABody) {
  std::string chat(kChat);
  chat.insert(chat.size() - 2, "Content-Length: 4\r\n");
  say(guest_, chat + "body");
  const StreamId asked = next_request();
  EXPECT_EQ(header_value(server_->seen[asked].fields, ":method"), "GET");
  EXPECT_EQ(find_header(server_->seen[asked].fields, ":protocol"), nullptr);
  ASSERT_TRUE(until([&] { return server_->seen[asked].ended; }));
  EXPECT_EQ(server_->seen[asked].data, "body");
  answer(asked, {{":status", "200"}, {"content-length", "2"}}, "no");
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
}

TEST_F(TranslateUpstreamTest, PassesOnThatAWebSocketIsRefused) {
  say(guest_, kChat);
  const StreamId chat = next_request();
  answer(chat, {{":status", "403"}, {"content-length", "2"}}, "no");
  expect_guest("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
}

// HTTP/2 lets it be written so, and HTTP/1 does not.
TEST_F(TranslateUpstreamTest, BelievesNoLengthThatIsReadInTwoWays) {
  say(guest_, kGet);
  answer(next_request(), {{":status", "200"}, {"content-length", "05"}}, "hello");
  const std::string page = until_guests_end();
  EXPECT_TRUE(page.starts_with("HTTP/1.1 502 ")) << page;
  EXPECT_EQ(gate_.stories.at(0).error, "the upstream's response: a Content-Length that is no number");
}

TEST_F(TranslateUpstreamTest, HoldsFewInterimResponsesForAGuestThatDoesNotRead) {
  say(guest_, kGet);
  const StreamId served = next_request();
  const std::string hint(16 * 1024, 'x');
  std::size_t sent = 0;
  for (int i = 0; i < 400; ++i, sent += hint.size()) {
    ASSERT_TRUE(server_->session.submit_informational(served, {{":status", "103"}, {"link", hint}}));
    ASSERT_TRUE(until([&] { return server_->has_sent(); }));
  }
  answer(served, {{":status", "200"}, {"content-length", "2"}}, "ok");
  std::string got;
  ASSERT_TRUE(until([&] {
    const auto some = arrived(guest_);
    if (some) got.append(some->begin(), some->end());
    return got.ends_with("\r\n\r\nok");
  }));
  EXPECT_LT(got.size(), sent / 2);
}

// An upload that is answered before it is taken.
class EarlyAnswer : public TranslateUpstreamTest {
 protected:
  static constexpr std::size_t kUpload = 1100 * 1024;  // more than the window of a stream

  void SetUp() override {
    server_->consumes = false;
    say(guest_, fmt::format("POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", kUpload));
    const std::string body(kUpload, 'x');
    std::size_t sent = 0;
    ASSERT_TRUE(until([&] {
      const ssize_t count = ::send(guest_.get(), body.data() + sent, body.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count > 0) sent += static_cast<std::size_t>(count);
      return sent == body.size() && server_->last > 0 && server_->seen[server_->last].data.size() >= 1024 * 1024;
    }));
    upload_ = server_->last;
    for (int turns = 0; turns < 20; ++turns) until([&, turned = 0]() mutable { return turned++ == 1; });
    answer(upload_, {{":status", "200"}, {"content-length", "2"}}, "ok");
    expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  }

  StreamId upload_ = 0;
};

TEST_F(EarlyAnswer, LetsGoOfAnUploadThatIsNotTaken) {
  gate_.waits = std::chrono::milliseconds(20);
  say(guest_, kGet);
  answer(next_request(upload_), {{":status", "200"}, {"content-length", "3"}}, "yes");
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes");
  EXPECT_EQ(server_->seen[upload_].reset, Http2Error::cancel);
}

TEST_F(EarlyAnswer, SendsTheRestOfAnUploadThatIsTakenLater) {
  say(guest_, kGet);
  server_->consumes = true;
  server_->session.consume(upload_, server_->seen[upload_].data.size());
  answer(next_request(upload_), {{":status", "200"}, {"content-length", "3"}}, "yes");
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes");
  ASSERT_TRUE(until([&] { return server_->seen[upload_].closed; }));
  EXPECT_EQ(server_->seen[upload_].data.size(), kUpload);
  EXPECT_EQ(server_->seen[upload_].reset, std::nullopt);
}

// A guest that does not read stops the upstream.
TEST_F(TranslateUpstreamTest, StopsAnUpstreamWhoseGuestDoesNotRead) {
  say(guest_, kGet);
  const StreamId served = next_request();
  ASSERT_TRUE(server_->session.submit_response(served, {{":status", "200"}}, false));
  const std::string piece(64 * 1024, 'x');
  std::size_t sent = 0, before = 1;
  while (sent != before && sent < 64u * 1024 * 1024) {
    before = sent;
    for (int idle = 0; idle < 50; ++idle) {
      if (server_->session.queued(served) == 0 && server_->session.send_data(served, text_bytes(piece), false)) {
        sent += piece.size();
      }
      server_->turn();
      loop_.io.restart();
      loop_.io.run_one_for(std::chrono::milliseconds(1));
    }
  }
  EXPECT_LT(sent, 8u * 1024 * 1024);
  EXPECT_GT(sent, 512u * 1024);
}

// ---- an upstream that was another flow's before (upstream_trial.h)

class ReusedTranslateTest : public TranslateUpstreamTest {
 protected:
  ReusedTranslateTest() { keeps_upstream_ = true; }

  void first_flow() {
    exchange(kGet);
    guest_.reset();
    ASSERT_TRUE(is_done());
    ASSERT_TRUE(gate_.clean && gate_.session);
    guest_ = start_again(relay_http1_to_http2);
  }
  void exchange(std::string_view request) {
    say(guest_, request);
    answer(next_request(server_->last), {{":status", "200"}, {"content-length", "2"}}, "ok");
    expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  }

  static constexpr const char* kPost = "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbody";
};

TEST_F(ReusedTranslateTest, GoesOnWhereTheLastFlowLeft) {
  first_flow();
  exchange(kPost);
  exchange(kGet);
  EXPECT_EQ(server_->last, 5);
  EXPECT_EQ(gate_.replaced, 0);
}

TEST_F(ReusedTranslateTest, AsksAnotherWhereTheFirstHasEnded) {
  first_flow();
  offer_another();
  say(guest_, kGet);
  upstream_.reset();
  take_another();
  answer(next_request(), {{":status", "200"}, {"content-length", "2"}}, "ok");
  expect_guest("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
}

TEST_F(ReusedTranslateTest, RisksNothingThatMustNotBeDoneTwice) {
  first_flow();
  offer_another();
  server_->reads = false;
  say(guest_, kPost);
  for (int turns = 0; turns < 10; ++turns) loop_.io.run_one_for(std::chrono::milliseconds(2));
  if (const auto some = arrived(upstream_)) server_->session.feed(*some, monotonic_ns());
  EXPECT_EQ(server_->last, 1) << "it knows of no other request";
  upstream_.reset();
  take_another();
  const StreamId served = next_request();
  ASSERT_TRUE(until([&] { return server_->seen[served].data == "body"; }));
}

}  // namespace
}  // namespace microagent::mediator

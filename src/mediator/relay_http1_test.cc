#include <fmt/format.h>

#include "mediator/test_relay.h"

namespace microagent::mediator {
namespace {

constexpr const char* kGet = "GET /a?b=c HTTP/1.1\r\nhost: a.example\r\nX-Odd:  1\r\naccept: */*\r\n\r\n";
constexpr const char* kGetOnTheWire = "GET /a?b=c HTTP/1.1\r\nhost: a.example\r\nX-Odd: 1\r\naccept: */*\r\n\r\n";
constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class Http1RelayTest : public RelayTest {
 protected:
  Http1RelayTest() { start(relay_http1); }

  void exchange() {
    say(guest_, kGet);
    expect(upstream_, kGetOnTheWire);
    say(upstream_, kOk);
    expect(guest_, kOk);
  }
};

TEST_F(Http1RelayTest, CarriesOneRequestAfterTheOther) {
  for (int count = 0; count < 3; ++count) exchange();
  ASSERT_TRUE(loop_.until([&] { return gate_.stories.size() == 3; }));
  const RequestStory& story = gate_.stories[0];
  EXPECT_EQ(story.method, "GET");
  EXPECT_EQ(story.host, "a.example");
  EXPECT_EQ(story.path, "/a");
  EXPECT_EQ(story.status, 200);
  EXPECT_EQ(story.bytes_in, 2u);
  EXPECT_EQ(story.error, "");
}

TEST_F(Http1RelayTest, SendsPipelinedRequestsOnOneByOne) {
  say(guest_, std::string(kGet) + kGet);
  expect(upstream_, kGetOnTheWire);
  expect_nothing(upstream_);
  say(upstream_, kOk);
  expect(upstream_, kGetOnTheWire);
  say(upstream_, kOk);
  expect(guest_, std::string(kOk) + kOk);
}

TEST_F(Http1RelayTest, KeepsBodiesAsTheyAreBothWays) {
  const std::string body = "5;x=y\r\nhello\r\n0\r\nTrailer-One: 1\r\n\r\n";
  const std::string head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
  say(guest_, head + body);
  expect(upstream_, head + body);
  const std::string answer = "HTTP/1.1 200 Fine by me\r\ntransfer-encoding: chunked\r\n\r\n";
  say(upstream_, answer + body);
  expect(guest_, answer + body);
  exchange();
  EXPECT_EQ(gate_.stories.at(0).bytes_out, 5u);
}

TEST_F(Http1RelayTest, DoesNotHoldBackWhatStreams) {
  say(guest_, kGet);
  expect(upstream_, kGetOnTheWire);
  say(upstream_, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  expect(guest_, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  for (int event = 0; event < 3; ++event) {
    say(upstream_, "data: 1\n\n");
    expect(guest_, "data: 1\n\n");
  }
  upstream_.reset();
  expect_end(guest_);
}

TEST_F(Http1RelayTest, WaitsForContinueAsTheClientDoes) {
  const std::string head = "PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
  say(guest_, head);
  expect(upstream_, head);
  say(upstream_, "HTTP/1.1 100 Continue\r\n\r\n");
  expect(guest_, "HTTP/1.1 100 Continue\r\n\r\n");
  say(guest_, "body");
  expect(upstream_, "body");
  say(upstream_, kOk);
  expect(guest_, kOk);
  exchange();
}

TEST_F(Http1RelayTest, LetsAnEarlyAnswerEndTheRequest) {
  const std::string head = "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\n";
  say(guest_, head + "half");
  expect(upstream_, head + "half");
  say(upstream_, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(until_end(guest_), "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.at(0).bytes_out, 4u);
  EXPECT_EQ(gate_.stories.at(0).error, "the response came before the whole request");
}

TEST_F(Http1RelayTest, ChangesTheProtocolAfterA101Only) {
  const std::string head =
      "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  say(guest_, head + "too early");
  expect(upstream_, head);
  expect_nothing(upstream_);
  const std::string answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  say(upstream_, answer + "frame");
  expect(guest_, answer + "frame");
  expect(upstream_, "too early");
  say(guest_, "more");
  expect(upstream_, "more");
  upstream_.reset();
  expect_end(guest_);
  guest_.reset();
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.at(0).status, 101);
}

// Else the rest of the body would be the other protocol's first bytes.
TEST_F(Http1RelayTest, ChangesNoProtocolWithinARequest) {
  const std::string head =
      "POST /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Content-Length: 100\r\n\r\n";
  say(guest_, head + "half");
  expect(upstream_, head + "half");
  say(upstream_, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 502 "));
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.at(0).status, 502);
}

TEST_F(Http1RelayTest, AnswersHeadWithoutABody) {
  say(guest_, "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n");
  expect(upstream_, "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n");
  say(upstream_, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  expect(guest_, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  exchange();
}

TEST_F(Http1RelayTest, RefusesOneRequestAndTakesTheNext) {
  say(guest_, "GET /refused HTTP/1.1\r\nHost: a.example\r\n\r\n");
  std::string got;
  ASSERT_TRUE(loop_.until([&] {
    if (const auto some = arrived(guest_)) got.append(some->begin(), some->end());
    return got.ends_with("no\n");
  }));
  EXPECT_TRUE(got.starts_with("HTTP/1.1 403 ")) << got;
  expect_nothing(upstream_);
  exchange();
}

TEST_F(Http1RelayTest, EndsAfterARefusedRequestWithABody) {
  say(guest_, "POST /refused HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 403 "));
  expect_end(upstream_);
}

TEST_F(Http1RelayTest, RefusesWhatServersReadDifferently) {
  say(guest_, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 400 "));
  ASSERT_EQ(gate_.faults.size(), 1u);
  expect_end(upstream_);
}

TEST_F(Http1RelayTest, TellsAGuestThatItsHeadIsSlow) {
  gate_.heads_wait = std::chrono::milliseconds(50);
  exchange();
  say(guest_, "GET / HTTP/1.1\r\nHost: a.exa");
  const std::string answer = until_end(guest_);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n")) << answer;
  EXPECT_NE(answer.find("connection: close\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("slow\n")) << answer;
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.faults, std::vector<std::string>{"slow"});
  expect_end(upstream_);
}

// Between two requests nobody is slow.
TEST_F(Http1RelayTest, LetsAGuestRestBetweenTwoRequests) {
  gate_.heads_wait = std::chrono::milliseconds(1);
  exchange();
  for (int turns = 0; turns < 5; ++turns) expect_nothing(guest_);
  gate_.heads_wait = RequestGate::kHeadTime;
  exchange();
  EXPECT_TRUE(gate_.faults.empty());
}

TEST_F(Http1RelayTest, EndsWhereABodyIsNoBody) {
  say(guest_, "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n");
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.faults.size(), 1u);
  EXPECT_NE(gate_.stories.at(0).error, "");
  EXPECT_EQ(gate_.stories.at(0).status, 400);
}

// An upstream that does not wait for the body has its say.
TEST_F(Http1RelayTest, LetsAnAnswerEndThoughTheBodyGoesWrong) {
  const std::string begun = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
  say(guest_, begun);
  expect(upstream_, begun);
  say(upstream_, "HTTP/1.1 405 Not Allowed\r\nContent-Length: 4\r\n\r\nn");
  expect(guest_, "HTTP/1.1 405 Not Allowed\r\nContent-Length: 4\r\n\r\nn");
  say(guest_, "nonsense\r\n");
  ASSERT_TRUE(loop_.until([&] { return gate_.faults.size() == 1; }));
  say(upstream_, "ope");
  EXPECT_EQ(until_end(guest_), "ope");
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.at(0).status, 405);
  EXPECT_NE(gate_.stories.at(0).error, "");
}

// The upstream may want the rest of the request first, which it will never have.
TEST_F(Http1RelayTest, WaitsForNoAnswerForEverWhereTheBodyWentWrong) {
  gate_.waits = std::chrono::milliseconds(50);
  say(guest_, "POST /x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  expect(upstream_, "POST /x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  say(upstream_, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  expect(guest_, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  say(guest_, "no chunk\r\n");
  ASSERT_TRUE(is_done());
  EXPECT_EQ(gate_.faults.size(), 1u);
  EXPECT_NE(gate_.stories.at(0).error, "");
}

TEST_F(Http1RelayTest, SaysThatTheUpstreamGaveNoAnswer) {
  say(guest_, kGet);
  expect(upstream_, kGetOnTheWire);
  upstream_.reset();
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 502 "));
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.failures.size(), 1u);
  EXPECT_EQ(gate_.stories.at(0).status, 502);
}

TEST_F(Http1RelayTest, EndsSilentlyWhereAClientTriesAgain) {
  exchange();
  say(guest_, kGet);
  expect(upstream_, kGetOnTheWire);
  upstream_.reset();
  EXPECT_EQ(until_end(guest_), "");
}

TEST_F(Http1RelayTest, EndsWithAnUpstreamThatEndsIdle) {
  exchange();
  upstream_.reset();
  expect_end(guest_);
  EXPECT_TRUE(is_done());
}

TEST_F(Http1RelayTest, EndsOnAnAnswerThatNobodyAskedFor) {
  exchange();
  say(upstream_, kOk);
  EXPECT_EQ(until_end(guest_), "");
}

TEST_F(Http1RelayTest, DoesNotPassOffHalfAnAnswerAsWhole) {
  say(guest_, kGet);
  expect(upstream_, kGetOnTheWire);
  say(upstream_, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  expect(guest_, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  upstream_.reset();
  expect_end(guest_);
  EXPECT_TRUE(is_done());
  EXPECT_NE(gate_.stories.at(0).error, "");
}

// ---- the guest's flow is gone: the story of what was under way is told all the same

TEST_F(Http1RelayTest, TellsOfARequestThatWaitsForItsAnswer) {
  say(guest_, kGet);
  expect(upstream_, kGetOnTheWire);
  cut_off();
  ASSERT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.at(0).status, 0);
  EXPECT_EQ(gate_.stories.at(0).error, "the guest's connection ended");
}

TEST_F(Http1RelayTest, TellsHowMuchOfARequestWentUp) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\n";
  say(guest_, head + std::string(300, 'x'));
  expect(upstream_, head + std::string(300, 'x'));
  cut_off();
  ASSERT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.at(0).bytes_out, 300u);
  EXPECT_EQ(gate_.stories.at(0).error, "the guest's connection ended");
}

TEST_F(Http1RelayTest, TellsHowMuchOfAnAnswerCameDown) {
  say(guest_, kGet);
  expect(upstream_, kGetOnTheWire);
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + std::string(40, 'x');
  say(upstream_, half);
  expect(guest_, half);
  cut_off();
  ASSERT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.at(0).status, 200);
  EXPECT_EQ(gate_.stories.at(0).bytes_in, 40u);
  EXPECT_EQ(gate_.stories.at(0).error, "the guest's connection ended");
}

TEST_F(Http1RelayTest, EndsWithTheConnectionWhereAClientAsksForIt) {
  const std::string get = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
  say(guest_, get);
  expect(upstream_, get);
  say(upstream_, kOk);
  EXPECT_EQ(until_end(guest_), kOk);
  EXPECT_TRUE(is_done());
}

TEST_F(Http1RelayTest, CarriesAMegabyteEachWay) {
  const std::string body(1 << 20, 'x');
  const std::string head = fmt::format("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", body.size());
  std::string sent = head + body, got;
  ASSERT_TRUE(loop_.until([&] {
    const ssize_t count = ::send(guest_.get(), sent.data(), sent.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) sent.erase(0, static_cast<std::size_t>(count));
    if (const auto some = arrived(upstream_)) got.append(some->begin(), some->end());
    return got.size() == head.size() + body.size();
  }));
  EXPECT_EQ(got, head + body);
  const std::string answer = fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.size());
  sent = answer + body;
  got.clear();
  ASSERT_TRUE(loop_.until([&] {
    const ssize_t count = ::send(upstream_.get(), sent.data(), sent.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) sent.erase(0, static_cast<std::size_t>(count));
    if (const auto some = arrived(guest_)) got.append(some->begin(), some->end());
    return got.size() == answer.size() + body.size();
  }));
  EXPECT_EQ(got, answer + body);
}

}  // namespace
}  // namespace microagent::mediator

// Upstreams' connections that outlive their guests': how a relay begins with one, and leaves one.

#include "mediator/test_relay.h"

namespace microagent::mediator {
namespace {

constexpr const char* kGet = "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
constexpr const char* kPost = "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbody";
constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class RelayReuseTest : public RelayTest {
 protected:
  RelayReuseTest() { start(relay_http1); }
  ~RelayReuseTest() override { gate_.replacement.reset(); }

  void reuse(bool with_replacement = true) {
    gate_.reused = true;
    if (!with_replacement) return;
    auto ends = socket_pair(SOCK_STREAM);
    other_ = std::move(ends.first);
    gate_.replacement = plain_stream(std::move(*watch(loop_.io.get_executor(), std::move(ends.second))));
  }

  void exchange(const Fd& upstream, std::string_view request = kGet) {
    say(guest_, request);
    expect(upstream, request);
    say(upstream, kOk);
    expect(guest_, kOk);
  }

  Fd other_;
};

TEST_F(RelayReuseTest, GoesOnWithAConnectionThatAnswers) {
  reuse();
  exchange(upstream_);
  exchange(upstream_, kPost);
  EXPECT_EQ(gate_.replaced, 0);
}

TEST_F(RelayReuseTest, AsksAnotherWhereTheFirstEndsWithoutAnAnswer) {
  reuse();
  say(guest_, kGet);
  expect(upstream_, kGet);
  upstream_.reset();
  expect(other_, kGet);
  say(other_, kOk);
  expect(guest_, kOk);
  exchange(other_, kPost);
  ASSERT_TRUE(loop_.until([&] { return gate_.stories.size() == 2; }));
  EXPECT_EQ(gate_.stories[0].status, 200);
  EXPECT_EQ(gate_.stories[0].error, "");
  EXPECT_EQ(gate_.replaced, 1);
}

TEST_F(RelayReuseTest, AsksAnotherWhereTheFirstHasEndedBefore) {
  reuse();
  upstream_.reset();
  exchange(other_);
  EXPECT_EQ(gate_.replaced, 1);
}

// Half an answer cannot be taken back.
TEST_F(RelayReuseTest, AsksNoOtherOnceAnAnswerHasBegun) {
  reuse();
  say(guest_, kGet);
  expect(upstream_, kGet);
  say(upstream_, "HTTP/1.1 200 OK\r\n");
  upstream_.reset();
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(gate_.replaced, 0);
}

// Nobody could tell whether a connection that breaks has taken it.
TEST_F(RelayReuseTest, RisksNothingThatMustNotBeDoneTwice) {
  reuse();
  exchange(other_, kPost);
  EXPECT_EQ(gate_.replaced, 1);
  expect_end(upstream_);
}

TEST_F(RelayReuseTest, RisksNoUpgrade) {
  const std::string upgrade = "GET /a HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
  reuse();
  say(guest_, upgrade);
  expect(other_, upgrade);
}

TEST_F(RelayReuseTest, SaysThatThereIsNoOther) {
  reuse(false);
  upstream_.reset();
  say(guest_, kGet);
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 502 "));
  ASSERT_EQ(gate_.stories.size(), 1u);
  EXPECT_EQ(gate_.stories[0].status, 502);
}

TEST_F(RelayReuseTest, LeavesWhatStandsBetweenTwoRequests) {
  exchange(upstream_);
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_TRUE(gate_.clean);
}

TEST_F(RelayReuseTest, LeavesWhatWasNeverUsed) {
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_TRUE(gate_.clean);
}

TEST_F(RelayReuseTest, LeavesNothingWithinARequest) {
  say(guest_, kGet);
  expect(upstream_, kGet);
  guest_.reset();
  say(upstream_, "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + std::string(200'000, 'x'));
  upstream_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean);
}

TEST_F(RelayReuseTest, LeavesNothingThatItsUpstreamEnds) {
  say(guest_, kGet);
  expect(upstream_, kGet);
  const std::string last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  say(upstream_, last);
  expect(guest_, last);
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean);
}

// Such a server takes the connection for the one who has once said on it who he is.
class BoundConnection : public RelayReuseTest, public testing::WithParamInterface<const char*> {};

TEST_P(BoundConnection, IsNotLeft) {
  say(guest_, kGet);
  expect(upstream_, kGet);
  const std::string who =
      "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: " + std::string(GetParam()) + "\r\nContent-Length: 0\r\n\r\n";
  say(upstream_, who);
  expect(guest_, who);
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean);
}

TEST_P(BoundConnection, IsNotLeftWhereTheGuestSpeaksFirst) {
  exchange(upstream_, "GET /a HTTP/1.1\r\nHost: a.example\r\nAuthorization: " + std::string(GetParam()) + "\r\n\r\n");
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean);
}

INSTANTIATE_TEST_SUITE_P(Schemes, BoundConnection,
                         testing::Values("NTLM", "ntlm TlRMTVNTUAACAAAA", "Negotiate YIIJvwYG",
                                         "Basic realm=\"a\", Negotiate"));

TEST_F(RelayReuseTest, LeavesWhatEveryRequestSaysAnew) {
  exchange(upstream_, "GET /a HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer ntlm\r\n\r\n");
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_TRUE(gate_.clean);
}

TEST_F(RelayReuseTest, LeavesNothingThatHasMoreToSay) {
  say(guest_, kGet);
  expect(upstream_, kGet);
  say(upstream_, std::string(kOk) + kOk);
  expect(guest_, kOk);
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean);
}

// RFC 9112, 6.3: what follows a response is none of the next request's.
TEST_F(RelayReuseTest, TakesNothingForTheNextAnswerThatCameBeforeItsRequest) {
  say(guest_, std::string(kGet) + kGet);
  expect(upstream_, kGet);
  say(upstream_, std::string(kOk) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL");
  EXPECT_EQ(until_end(guest_), kOk);
  ASSERT_TRUE(is_done());
  expect_end(upstream_);
  ASSERT_EQ(gate_.stories.size(), 2u);
  EXPECT_EQ(gate_.stories[1].status, 0);
  EXPECT_NE(gate_.stories[1].error.find("before it was asked"), std::string::npos);
  EXPECT_FALSE(gate_.clean);
}

// It has been asked nothing, so that nothing can be done twice.
TEST_F(RelayReuseTest, AsksAnotherWhereTheFirstEndsBeforeItIsAskedAnything) {
  reuse();
  gate_.reused = false;
  say(upstream_, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  upstream_.reset();
  exchange(other_, kPost);
  exchange(other_, kGet);
  EXPECT_EQ(gate_.replaced, 1);
}

TEST_F(RelayReuseTest, LeavesNothingThatSpokeUnasked) {
  exchange(upstream_);
  say(upstream_, kOk);
  ASSERT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean);
}

}  // namespace
}  // namespace microagent::mediator

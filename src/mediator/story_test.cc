// What becomes of a TCP flow between its SYN and its splice: who speaks first, what is said, and what is refused how.

#include "http/test_http2.h"
#include "mediator/test_mediator.h"
#include "wire/test_client_hello.h"

namespace microagent::mediator {
namespace {

using wire::TestHello;

class StoryTest : public MediatorTest {
 protected:
  // A policy for which it matters what the guest says, with the loopback servers of the test allowed by address.
  StoryTest() { config_.egress.deny.push_back(policy::rule_text(".evil.example", "--egress-deny")); }

  Fd next_splice() {
    Answer answer = next_answer();
    EXPECT_EQ(answer.flow, last_flow_);
    EXPECT_EQ(answer.action, Action::splice);
    return std::move(answer.fd);
  }
  // The resolver's word on the name that the mediator asks for, since it is not bound.
  void answer_that_no_such_name_is() {
    std::optional<std::pair<Bytes, sockaddr_in>> query;
    ASSERT_TRUE(loop_.until([&] { return (query = resolver_.datagram()).has_value(); }));
    Bytes answer = query->first;
    answer[2] |= 0x80;
    answer[3] = 3;
    resolver_.send_to(query->second, answer);
  }
  void expect_reset() {
    const Answer answer = next_answer();
    EXPECT_EQ(answer.action, Action::refuse);
    EXPECT_EQ(answer.refusal, Refusal::reset);
  }
  // All that comes over `fd` until its end.
  std::string read_all(const Fd& fd) {
    std::string all;
    EXPECT_TRUE(loop_.until([&] {
      const auto some = arrived(fd);
      if (some) all.append(some->begin(), some->end());
      return some && some->empty();
    }));
    return all;
  }

  LoopbackSocket server_{SOCK_STREAM};
};

TEST_F(StoryTest, HoldsTheUpstreamWhileItLooks) {
  start();
  peeked("127.0.0.1", server_.port());
  const Fd accepted = server_.accept();
  EXPECT_TRUE(accepted);
  say(TestHello::to("good.example").encode());
  answer_that_no_such_name_is();
  const Fd upstream = next_splice();
  put(upstream, bytes("hello"));
  EXPECT_TRUE(loop_.until([&] { return arrived(accepted) == bytes("hello"); }));
  close({.bytes_out = 5, .bytes_in = 0, .duration_us = 0, .end = flow::End::finished});
  const auto all = records(3);
  EXPECT_EQ(all[0]["event"], "egress_dns_allow");
  EXPECT_EQ(all[1]["event"], "egress_allow");
  EXPECT_EQ(all[1]["host"], "127.0.0.1");
  EXPECT_EQ(all[1]["signal"], "name-destination-mismatch");  // no answer has bound the name to this address
  EXPECT_EQ(all[2]["event"], "egress_close");
}

TEST_F(StoryTest, LetsTheServerSpeakFirst) {
  start();
  peeked("127.0.0.1", server_.port());
  const Fd accepted = server_.accept();
  put(accepted, bytes("220 mail.example ESMTP\r\n"));
  const Fd upstream = next_splice();
  EXPECT_EQ(arrived(upstream), bytes("220 mail.example ESMTP\r\n"));
  EXPECT_FALSE(records(1)[0].contains("signal"));
}

TEST_F(StoryTest, TakesAnUpstreamThatEndsAsAnEnd) {
  start();
  peeked("127.0.0.1", server_.port());
  server_.accept().reset();
  EXPECT_EQ(arrived(next_splice()), Bytes());
}

TEST_F(StoryTest, SettlesAsSoonAsTheBytesFitNothing) {
  start();
  peeked("127.0.0.1", server_.port());
  say("SSH-2.0-x\r\n");
  EXPECT_TRUE(next_splice());
}

TEST_F(StoryTest, ReadsAHelloOneByteAtATime) {
  start();
  peeked("127.0.0.1", server_.port());
  const auto hello = TestHello::to("www.evil.example").encode(11);
  for (const std::uint8_t byte : hello) say(ByteView(&byte, 1));
  expect_reset();
  EXPECT_EQ(arrived(server_.accept()), Bytes());
  const auto denied = records(1)[0];
  EXPECT_EQ(denied["event"], "egress_deny");
  EXPECT_EQ(denied["rule"], "deny .evil.example (--egress-deny)");
}

TEST_F(StoryTest, AnswersDeniedHttpInHttp) {
  start();
  peeked("127.0.0.1", server_.port());
  say("GET /x HTTP/1.1\r\nHost: www.evil.example\r\n");
  say("Accept: application/json\r\n\r\n");
  const std::string response = read_all(next_splice());
  EXPECT_TRUE(response.starts_with("HTTP/1.1 403 Forbidden\r\n")) << response;
  const auto body = nlohmann::json::parse(response.substr(response.find("\r\n\r\n")));
  const auto denied = records(1)[0];
  EXPECT_EQ(body["decision"], denied["decision"]);
  EXPECT_EQ(body["rule"], "deny .evil.example (--egress-deny)");
  EXPECT_EQ(arrived(server_.accept()), Bytes());
  close();
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 80), Refusal::reset);
  EXPECT_EQ(records(2).size(), 2U);  // the 403's own flow is none of the log's
}

TEST_F(StoryTest, RefusesWhatIsAmbiguous) {
  start();
  peeked("127.0.0.1", server_.port());
  say("GET / HTTP/1.1\r\nHost: good.example\r\nHost: other.example\r\n\r\n");
  const std::string response = read_all(next_splice());
  EXPECT_TRUE(response.starts_with("HTTP/1.1 400 Bad Request\r\n")) << response;
  EXPECT_NE(response.find("more than one Host header"), std::string::npos);

  peeked("127.0.0.1", server_.port());
  using namespace std::string_view_literals;
  say(TestHello::to("good.example\0.evil.example"sv).encode());
  expect_reset();
  const auto all = records(2);
  EXPECT_EQ(all[1]["reason"], "ambiguous: a server name that is no host name");
}

TEST_F(StoryTest, LooksAtHttp2) {
  start();
  peeked("127.0.0.1", server_.port());
  say(http::http2_request(http::request_fields("x.evil.example")));
  expect_reset();
}

TEST_F(StoryTest, KeepsNoHttp2ClientFromItsServersSettings) {
  config_.look.settings_patience = std::chrono::milliseconds(20);
  start();
  peeked("127.0.0.1", server_.port());
  say(http::http2_start());
  EXPECT_TRUE(next_splice());
}

TEST_F(StoryTest, AccountsForAGuestThatGivesUp) {
  start();
  peeked("127.0.0.1", server_.port());
  close({.bytes_out = 0, .bytes_in = 0, .duration_us = 5000, .end = flow::End::guest_reset});
  const auto all = records(2);
  EXPECT_EQ(all[0]["event"], "egress_allow");
  EXPECT_EQ(all[1]["event"], "egress_close");
  EXPECT_EQ(all[1]["end"], "guest_reset");
  EXPECT_EQ(all[1]["flow"], all[0]["flow"]);
  EXPECT_EQ(arrived(server_.accept()), Bytes());
}

TEST_F(StoryTest, TakesAGuestThatEndsEarlyAsOpaque) {
  start();
  peeked("127.0.0.1", server_.port());
  say("GET / HT", true);
  EXPECT_TRUE(next_splice());
}

TEST_F(StoryTest, SplicesASilentGuestOnlyWhereNamesDoNotMatter) {
  config_.egress.deny.clear();
  config_.look.patience = std::chrono::milliseconds(20);
  config_.look.web_ports.push_back(server_.port());
  start();
  peeked("127.0.0.1", server_.port());
  EXPECT_TRUE(next_splice());
}

TEST_F(StoryTest, WaitsForASilentGuestWhereNamesMatter) {
  config_.look.patience = std::chrono::milliseconds(1);
  config_.look.silence_limit = std::chrono::milliseconds(100);
  start();
  peeked("127.0.0.1", server_.port());
  const Deadline began = std::chrono::steady_clock::now();
  expect_reset();
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(90));
  EXPECT_EQ(records(1)[0]["reason"], "silent");
}

TEST_F(StoryTest, RefusesNoSilentGuestThatIsObserved) {
  config_.egress.observe = true;
  config_.look.silence_limit = std::chrono::milliseconds(50);
  start();
  peeked("127.0.0.1", server_.port());
  EXPECT_TRUE(next_splice());
  EXPECT_EQ(records(1)[0]["event"], "egress_allow");
}

TEST_F(StoryTest, DoesNotLookWhereNothingDependsOnIt) {
  config_.egress.deny.clear();
  start();
  EXPECT_TRUE(spliced(Protocol::tcp, "127.0.0.1", server_.port()));
}

TEST_F(StoryTest, SaysWhatTheUpstreamSaidBeforeItLooks) {
  const LoopbackSocket closed(SOCK_STREAM, 0, false);
  start();
  EXPECT_EQ(refusal_of(Protocol::tcp, "127.0.0.1", closed.port()), Refusal::reset);
  EXPECT_EQ(records(1)[0]["event"], "egress_dial_error");
}

TEST_F(StoryTest, RefusesQuicSoThatClientsComeBackOverTcp) {
  start();
  EXPECT_EQ(refusal_of(Protocol::udp, "198.51.100.1", 443), Refusal::admin_prohibited);
  const auto denied = records(1)[0];
  EXPECT_EQ(denied["event"], "egress_udp_deny");
  EXPECT_EQ(denied["signal"], "quic-udp443");
}

TEST_F(StoryTest, ShowsThePolicyAndItsRefusals) {
  start();
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 22), Refusal::reset);
  const auto denied = records(1)[0];
  const Fd page = spliced(Protocol::tcp, "192.168.64.1", 80);
  put(page, bytes("GET / HTTP/1.1\r\nHost: policy.microagent\r\n\r\n"));
  const std::string response = read_all(page);
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(response.find(denied["decision"].get<std::string>()), std::string::npos) << response;
  EXPECT_NE(response.find("deny .evil.example"), std::string::npos);

  const Fd other = spliced(Protocol::tcp, "192.168.64.1", 80);
  put(other, bytes("POST / HTTP/1.1\r\nHost: policy.microagent\r\n\r\n"));
  EXPECT_TRUE(read_all(other).starts_with("HTTP/1.1 405 "));
  const Fd nonsense = spliced(Protocol::tcp, "192.168.64.1", 80);
  put(nonsense, bytes("\x16\x03\x01"));
  EXPECT_TRUE(read_all(nonsense).starts_with("HTTP/1.1 400 "));
}

TEST_F(StoryTest, EndsWithANetdThatTellsTooMuch) {
  start();
  peeked("127.0.0.1", server_.port());
  const Bytes many(flow::kMaxPeek + 1);
  say(many);
  EXPECT_TRUE(ended());
}

TEST_F(StoryTest, IgnoresFirstBytesThatCrossTheVerdict) {
  start();
  peeked("127.0.0.1", server_.port());
  put(server_.accept(), bytes("220\r\n"));
  const Fd upstream = next_splice();
  say("EHLO x\r\n");
  ASSERT_TRUE(netd_->send(999, flow::FirstBytes{}));
  ASSERT_TRUE(netd_->send(999, flow::Closed{}));
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 80), Refusal::reset);
}

TEST_F(StoryTest, HoldsTheCaps) {
  config_.egress.caps.max_connections = 1;
  config_.egress.caps.max_total_bytes = 100'000;
  start();
  peeked("127.0.0.1", server_.port());
  say("x\r\n");
  const Answer first = next_answer();
  EXPECT_EQ(first.budget, flow::kWorkspaceBudget);
  EXPECT_EQ(limits_[flow::kWorkspaceBudget].bytes, 65'536U);
  const flow::FlowId counted = last_flow_;
  EXPECT_EQ(refusal_of(Protocol::tcp, "127.0.0.1", server_.port()), Refusal::reset);
  auto all = records(3);
  EXPECT_EQ(all[1]["event"], "egress_cap_exceeded");
  EXPECT_EQ(all[1]["cap"], "maxConnections");
  EXPECT_EQ(all[2]["event"], "egress_deny");

  ASSERT_TRUE(netd_->send(0, flow::Usage{.budget = flow::kWorkspaceBudget, .bytes_out = 65'536}));
  ASSERT_TRUE(until([&] { return limits_[flow::kWorkspaceBudget].last != 0; }));
  EXPECT_EQ(limits_[flow::kWorkspaceBudget].bytes, 100'000U);
  ASSERT_TRUE(netd_->send(counted, flow::Closed{.bytes_out = 100'000, .end = flow::End::capped}));
  all = records(5);
  EXPECT_EQ(all[3]["event"], "egress_cap_exceeded");
  EXPECT_EQ(all[3]["cap"], "maxTotalBytes");
  EXPECT_EQ(all[4]["event"], "egress_close");
  EXPECT_EQ(all[4]["end"], "capped");
}

TEST_F(StoryTest, RecordsPacketsOfOtherProtocols) {
  start();
  ASSERT_TRUE(netd_->send(0, flow::Dropped{.ip_protocol = 47, .packets = 12}));
  const auto denied = records(1)[0];
  EXPECT_EQ(denied["event"], "egress_deny");
  EXPECT_EQ(denied["proto"], "gre");
  EXPECT_EQ(denied["packets"], 12);
  EXPECT_EQ(denied["signal"], "unmediatable-protocol");
}

}  // namespace
}  // namespace microagent::mediator

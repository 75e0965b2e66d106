// What people change and ask while a workspace runs.

#include <unistd.h>

#include "dns/test_messages.h"
#include "mediator/authority_file.h"
#include "mediator/test_mediator.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::json;

class RequestsTest : public MediatorTest {
 protected:
  // The agent's stream of a guest that has greeted.
  Fd greeted() {
    Fd guest = spliced(Protocol::vsock, vsock_endpoint(wire::kHostCid, wire::kAgentHostPort));
    put(guest, wire::encode_frame(wire::FrameType::hello, bytes_of(le32(wire::kAgentVersion))));
    return guest;
  }

  // Whom the guest is told to trust next.
  wire::Trust told(const Fd& guest) {
    std::optional<Bytes> bytes;
    EXPECT_TRUE(loop_.until([&] { return (bytes = arrived(guest)).has_value(); }));
    wire::FrameReader reader;
    reader.feed(*bytes);
    const auto frame = reader.next();
    EXPECT_TRUE(frame && frame->type == wire::FrameType::trust && !reader.next());
    return frame ? wire::parse_trust(frame->payload).value() : wire::Trust();
  }

  std::filesystem::path authority_file() const { return directory_.audit_file().parent_path() / kAuthorityFile; }

  LoopbackSocket server_{SOCK_STREAM};
};

TEST_F(RequestsTest, ANewPolicyEndsTheFlowsItForbidsAndNoOthers) {
  start();
  const LoopbackSocket other(SOCK_STREAM);
  const Fd first = spliced(Protocol::tcp, "127.0.0.1", server_.port());
  const flow::FlowId forbidden = last_flow_;
  const Fd second = spliced(Protocol::tcp, "127.0.0.1", other.port());
  policy::PolicyText text = config_.egress;
  text.deny.push_back(policy::rule_text("127.0.0.1:" + std::to_string(server_.port()), "egress deny"));
  const Json answer = change_policy(text);
  EXPECT_EQ(answer["result"]["version"], 2);
  EXPECT_EQ(answer["result"]["killed"], 1);
  EXPECT_TRUE(until([&] { return !killed_.empty(); }));
  EXPECT_EQ(killed_, std::vector{forbidden});
  ASSERT_TRUE(netd_->send(forbidden, flow::Closed{.end = flow::End::killed}));

  EXPECT_EQ(refusal_of(Protocol::tcp, "127.0.0.1", server_.port()), Refusal::reset);
  EXPECT_TRUE(spliced(Protocol::tcp, "127.0.0.1", other.port()));
  const auto all = records(6);
  EXPECT_EQ(all[2]["event"], "egress_policy_changed");
  EXPECT_EQ(all[2]["version"], 2);
  EXPECT_EQ(all[2]["added"][0], "deny 127.0.0.1:" + std::to_string(server_.port()));
  EXPECT_EQ(all[2]["removed"].size(), 0U);
  EXPECT_EQ(all[3]["end"], "killed");
}

// One that goes on for hours is not asked again.
TEST_F(RequestsTest, ANewPolicyEndsARequestThatItForbids) {
  policy::RuleText rule = policy::rule_text("", "--egress-policy");
  rule.form = policy::RuleText::Form::host;
  rule.destination = "127.0.0.1";
  rule.paths = {"/stream", "/other"};
  config_.egress.allow = {rule};
  start();
  peeked("127.0.0.1", server_.port());
  Fd upstream;
  ASSERT_TRUE(loop_.until([&] { return (upstream = server_.accept()).get() >= 0; }));
  const std::string request = "GET /stream HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server_.port()) + "\r\n\r\n";
  say(request);
  const Answer splice = next_answer();
  ASSERT_EQ(splice.action, Action::splice);
  put(splice.fd, bytes(request));
  ASSERT_TRUE(loop_.until([&] { return arrived(upstream) == bytes(request); }));

  config_.egress.allow[0].paths = {"/stream"};
  EXPECT_EQ(change_policy(config_.egress)["result"]["killed"], 0);
  config_.egress.allow[0].paths = {"/other"};
  EXPECT_EQ(change_policy(config_.egress)["result"]["killed"], 1);
  EXPECT_TRUE(until([&] { return killed_ == std::vector{last_flow_}; }));
}

TEST_F(RequestsTest, TellsAGuestOfAnAuthorityOnceAnythingIsIntercepted) {
  std::ofstream(authority_file()) << "of an earlier life";
  start();
  EXPECT_FALSE(std::filesystem::exists(authority_file())) << "nothing is intercepted";
  const Fd guest = greeted();
  EXPECT_EQ(told(guest), wire::Trust());
  policy::PolicyText text = config_.egress;
  text.allow.push_back({.form = policy::RuleText::Form::host, .destination = "a.example", .methods = {"GET"}});
  EXPECT_TRUE(change_policy(text).contains("result"));
  const wire::Trust trust = told(guest);
  const auto kept = keep_authority(authority_file(), "web").value();
  EXPECT_EQ(trust, (wire::Trust{kept.certificate_pem(), kept.subject_hash()}));
  EXPECT_TRUE(change_policy(config_.egress).contains("result"));
  EXPECT_TRUE(std::filesystem::exists(authority_file())) << "what the guest trusts stays";

  put(guest, wire::encode_frame(wire::FrameType::trusted, ByteView()));
  EXPECT_EQ(Json::parse(next_report()), Json({{"type", "trust"}, {"ready", true}, {"error", ""}}));
}

TEST_F(RequestsTest, TellsAGuestOfTheAuthorityThatIsKept) {
  const auto kept = keep_authority(authority_file(), "web").value();
  config_.egress.allow.push_back(
      {.form = policy::RuleText::Form::host, .destination = "a.example", .paths = {"/v1/*"}});
  start();
  EXPECT_EQ(told(greeted()), (wire::Trust{kept.certificate_pem(), kept.subject_hash()}));
}

TEST_F(RequestsTest, WhatIsNoPolicyChangesNothing) {
  start();
  for (const char* content : {"", "{}", R"({"mode":"broker","allow":[{"rule":"https://x"}]})", R"({"mode":"wild"})"}) {
    const Json answer = change_policy(std::string(content));
    EXPECT_TRUE(answer.contains("error")) << content;
  }
  send_request({{"ask", "policy"}});
  EXPECT_TRUE(answer().contains("error"));
  EXPECT_EQ(ask({{"ask", "status"}})["result"]["version"], 1);
}

TEST_F(RequestsTest, APolicyThatCannotBeRecordedIsNotTaken) {
  start();
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 80), Refusal::reset);
  const FullDisk full(directory_.audit_file());
  EXPECT_TRUE(change_policy(policy::PolicyText()).contains("error"));
  EXPECT_EQ(ask({{"ask", "status"}})["result"]["version"], 1);
}

TEST_F(RequestsTest, AFlowThatIsBeingLookedAtIsJudgedByTheNewPolicy) {
  config_.egress.deny.push_back(policy::rule_text("evil.example"));
  start();
  peeked("127.0.0.1", server_.port());
  policy::PolicyText text = config_.egress;
  text.allow.clear();
  EXPECT_EQ(change_policy(text)["result"]["killed"], 0);
  say("x\r\n");
  EXPECT_EQ(next_answer().action, Action::refuse);
}

TEST_F(RequestsTest, TellsItsCounters) {
  start();
  const Fd upstream = spliced(Protocol::tcp, "127.0.0.1", server_.port());
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 80), Refusal::reset);
  ASSERT_TRUE(netd_->send(0, flow::Usage{.budget = flow::kWorkspaceBudget, .bytes_out = 3, .bytes_in = 4}));
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 80), Refusal::reset);
  const Json status = ask({{"ask", "status"}})["result"];
  EXPECT_EQ(status, (Json{{"version", 1}, {"flows", 1}, {"bytesOut", 3}, {"bytesIn", 4}, {"denials", 2}}));
}

TEST_F(RequestsTest, ExplainsAddressesAndNames) {
  config_.egress.deny.push_back(policy::rule_text("evil.example:443", "--egress-deny"));
  start();
  const Json inside = ask({{"ask", "explain"}, {"host", "10.0.0.1"}, {"port", 80}})["result"];
  EXPECT_EQ(inside["destinations"][0]["verdict"], "deny");
  EXPECT_EQ(inside["destinations"][0]["rule"], "inside: private 10.0.0.0/8");

  send_request({{"ask", "explain"}, {"host", "Evil.Example"}, {"port", 443}});
  for (int i = 0; i < 2; ++i) {
    std::optional<std::pair<Bytes, sockaddr_in>> query;
    ASSERT_TRUE(loop_.until([&] { return (query = resolver_.datagram()).has_value(); }));
    const unsigned id = static_cast<unsigned>(query->first[0] << 8 | query->first[1]);
    dns::TestAnswer found{.id = id, .name = "evil.example", .type = i == 0 ? 1U : 28U};
    if (i == 0) found.answers = {dns::test_a("evil.example", 8)};
    resolver_.send_to(query->second, found.encode());
  }
  const Json named = answer()["result"];
  EXPECT_EQ(named["host"], "evil.example");
  EXPECT_EQ(named["lookup"]["verdict"], "allow");
  ASSERT_EQ(named["destinations"].size(), 1U);
  EXPECT_EQ(named["destinations"][0]["address"], "203.0.113.8");
  EXPECT_EQ(named["destinations"][0]["rule"], "deny evil.example:443 (--egress-deny)");

  EXPECT_TRUE(ask({{"ask", "explain"}, {"host", "127.1"}}).contains("error"));
  EXPECT_TRUE(ask({{"ask", "explain"}, {"host", "10.0.0.1"}, {"port", 0}}).contains("error"));
}

TEST_F(RequestsTest, QuarantineEndsEverythingAndLetsNothingBegin) {
  start();
  const Fd upstream = spliced(Protocol::tcp, "127.0.0.1", server_.port());
  EXPECT_EQ(ask({{"ask", "quarantine"}})["result"]["killed"], 1);
  ASSERT_TRUE(until([&] { return severed_; }));
  close({.end = flow::End::killed});
  EXPECT_EQ(refusal_of(Protocol::tcp, "127.0.0.1", server_.port()), Refusal::reset);
  EXPECT_EQ(refusal_of(Protocol::udp, "192.168.64.1", 53), Refusal::admin_prohibited);
  const auto all = records(4);
  EXPECT_EQ(all[1]["event"], "egress_quarantined");
  EXPECT_EQ(all[2]["event"], "egress_close");
  EXPECT_EQ(all[3]["reason"], "quarantined");
}

TEST_F(RequestsTest, RefusesWhatIsNoRequest) {
  start();
  EXPECT_TRUE(ask({{"ask", "dance"}}).contains("error"));
}

}  // namespace
}  // namespace microagent::mediator

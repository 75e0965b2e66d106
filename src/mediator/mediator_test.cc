#include "mediator/mediator.h"

#include "audit/verify.h"
#include "dns/test_messages.h"
#include "mediator/test_mediator.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

TEST_F(MediatorTest, TellsATcpFlowFromItsSynToItsEnd) {
  start();
  const LoopbackSocket server(SOCK_STREAM);
  const Fd upstream = spliced(Protocol::tcp, "127.0.0.1", server.port());
  const Fd accepted = server.accept();
  put(upstream, bytes("hello"));
  ASSERT_TRUE(loop_.until([&] { return arrived(accepted) == bytes("hello"); }));
  ASSERT_TRUE(netd_->send(last_flow_, flow::Closed{5, 7, 11'000, flow::End::finished}));

  const auto all = records(2);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["event"], "egress_allow");
  EXPECT_EQ(all[0]["dst"], "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(all[0]["rule"], "allow 127.0.0.0/8 (--egress-allow)");
  EXPECT_EQ(all[1]["event"], "egress_close");
  EXPECT_EQ(all[1]["flow"], all[0]["flow"]);
  EXPECT_EQ(all[1]["bytesOut"], 5);
  EXPECT_EQ(all[1]["bytesIn"], 7);
  EXPECT_EQ(all[1]["durationMs"], 11);
  EXPECT_TRUE(audit::verify(directory_.audit_file()));
}

TEST_F(MediatorTest, RefusesTheInside) {
  start();
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 80), Refusal::reset);
  EXPECT_EQ(refusal_of(Protocol::udp, "169.254.169.254", 80), Refusal::admin_prohibited);
  EXPECT_EQ(refusal_of(Protocol::icmp_echo, "192.168.64.7", 0), Refusal::admin_prohibited);
  const auto all = records(3);
  EXPECT_EQ(all[0]["event"], "egress_internal_deny");
  EXPECT_EQ(all[0]["rule"], "inside: private 10.0.0.0/8");
  EXPECT_EQ(all[1]["event"], "egress_udp_internal_deny");
  EXPECT_EQ(all[2]["proto"], "icmp");
}

TEST_F(MediatorTest, RefusesTheHostsOwnAddressesWithoutARule) {
  config_.egress.allow.clear();
  start();
  const LoopbackSocket server(SOCK_STREAM);
  EXPECT_EQ(refusal_of(Protocol::tcp, "127.0.0.1", server.port()), Refusal::reset);
  EXPECT_FALSE(server.accept());
}

TEST_F(MediatorTest, SaysWhatTheUpstreamSaid) {
  start();
  const LoopbackSocket closed(SOCK_STREAM, 0, false);
  EXPECT_EQ(refusal_of(Protocol::tcp, "127.0.0.1", closed.port()), Refusal::reset);
  const auto all = records(1);
  EXPECT_EQ(all[0]["event"], "egress_dial_error");
  EXPECT_EQ(all[0]["error"], "Connection refused");
}

TEST_F(MediatorTest, SplicesUdp) {
  start();
  const LoopbackSocket server(SOCK_DGRAM);
  const Fd upstream = spliced(Protocol::udp, "127.0.0.1", server.port());
  put(upstream, bytes("ping"));
  server.send_to(server.datagram()->second, bytes("pong"));
  EXPECT_EQ(arrived(upstream), bytes("pong"));
  EXPECT_EQ(records(1)[0]["event"], "egress_udp_allow");
}

TEST_F(MediatorTest, AnswersNames) {
  start();
  const Fd client = spliced(Protocol::udp, "192.168.64.1", 53);
  put(client, dns::TestMessage{.id = 7}.encode());
  std::optional<std::pair<Bytes, sockaddr_in>> query;
  ASSERT_TRUE(loop_.until([&] { return (query = resolver_.datagram()).has_value(); }));
  Bytes answer = dns::TestMessage{.flags = 0x8180, .answers = 1}.encode();
  answer[0] = query->first[0];
  answer[1] = query->first[1];
  resolver_.send_to(query->second, answer);
  ASSERT_TRUE(loop_.until(
      [&] { return arrived(client) == dns::TestMessage{.id = 7, .flags = 0x8180, .answers = 1}.encode(); }));
  EXPECT_EQ(records(1)[0]["event"], "egress_dns_allow");
  ASSERT_TRUE(netd_->send(last_flow_, flow::Closed{}));
  EXPECT_TRUE(spliced(Protocol::tcp, "192.168.64.1", 53));
}

TEST_F(MediatorTest, SpeaksWithTheGuestAgent) {
  config_.network.reset();
  start();
  const flow::Endpoint agent = vsock_endpoint(wire::kHostCid, wire::kAgentHostPort);
  const Fd guest = spliced(Protocol::vsock, agent);
  put(guest, wire::encode_frame(wire::FrameType::hello, bytes_of(le32(wire::kAgentVersion))));
  put(guest, wire::encode_frame(wire::FrameType::ready, std::string_view()));
  EXPECT_EQ(next_report(), R"({"type":"guest_ready"})");

  open(++last_flow_, Protocol::vsock, agent);
  EXPECT_EQ(next_answer().refusal, Refusal::reset);  // while the first one lives
  open(++last_flow_, Protocol::vsock, vsock_endpoint(wire::kHostCid, 9));
  EXPECT_EQ(next_answer().refusal, Refusal::reset);
  const auto all = records(2);
  EXPECT_EQ(all[0]["reason"], "the guest agent is already connected");
  EXPECT_EQ(all[1]["dst"], "vsock:2:9");

  put(supervisor_, bytes(R"({"type":"shutdown","patienceMs":0})"));
  const auto request = wire::encode_frame(wire::FrameType::shutdown, bytes_of(le32(0)));
  ASSERT_TRUE(loop_.until([&] { return arrived(guest) == request; }));
}

TEST_F(MediatorTest, LeadsTheMediationChannelToItsTargetEvenWhenIsolated) {
  const LoopbackSocket plane(SOCK_STREAM);
  config_.network.reset();
  config_.mediation = MediationConfig{2048, "127.0.0.1:9900", {"127.0.0.1", plane.port(), {}}};
  start();
  EXPECT_EQ(next_report(), R"({"error":"","ready":true,"type":"mediation"})");
  EXPECT_EQ(arrived(plane.accept()), Bytes()) << "the probe";

  const Fd guest = spliced(Protocol::vsock, vsock_endpoint(wire::kHostCid, 2048));
  const Fd connection = plane.accept();
  put(guest, bytes("work"));
  ASSERT_TRUE(loop_.until([&] { return arrived(connection) == bytes("work"); }));
  ASSERT_TRUE(netd_->send(last_flow_, flow::Closed{4, 9, 11'000, flow::End::finished}));
  const auto all = records(2);
  EXPECT_EQ(all[0]["event"], "mediation_open");
  EXPECT_EQ(all[0]["dst"], "vsock:2:2048");
  EXPECT_EQ(all[0]["rule"], "--mediation 2048=127.0.0.1:9900");
  EXPECT_EQ(all[1]["event"], "mediation_close");
  EXPECT_EQ(all[1]["flow"], all[0]["flow"]);
  EXPECT_EQ(all[1]["bytesIn"], 9);
  EXPECT_TRUE(audit::verify(directory_.audit_file()));
}

TEST_F(MediatorTest, RefusesTheMediationChannelWhileItsTargetIsGone) {
  const LoopbackSocket closed(SOCK_STREAM, 0, false);
  config_.mediation = MediationConfig{2048, "127.0.0.1:9900", {"127.0.0.1", closed.port(), {}}};
  start();
  EXPECT_EQ(next_report(), R"({"error":"Connection refused","ready":false,"type":"mediation"})");
  open(++last_flow_, Protocol::vsock, vsock_endpoint(wire::kHostCid, 2048));
  EXPECT_EQ(next_answer().refusal, Refusal::reset);
  const auto all = records(2);
  EXPECT_EQ(all[1]["event"], "mediation_dial_error");
  EXPECT_EQ(all[1]["error"], "Connection refused");
}

TEST_F(MediatorTest, BoundsTheMediationChannel) {
  const LoopbackSocket plane(SOCK_STREAM);
  config_.mediation = MediationConfig{2048, "127.0.0.1:9900", {"127.0.0.1", plane.port(), {}}};
  start();
  std::vector<Fd> held;
  for (std::size_t i = 0; i < MediationChannel::kMaxConnections; ++i) {
    held.push_back(spliced(Protocol::vsock, vsock_endpoint(wire::kHostCid, 2048)));
    while (Fd accepted = plane.accept()) held.push_back(std::move(accepted));
  }
  open(++last_flow_, Protocol::vsock, vsock_endpoint(wire::kHostCid, 2048));
  EXPECT_EQ(next_answer().refusal, Refusal::reset);
  const auto last = directory_.records().back();
  EXPECT_EQ(last["event"], "mediation_deny");
  EXPECT_EQ(last["reason"], "at most 128 connections at once");
  ASSERT_TRUE(netd_->send(1, flow::Closed{0, 0, 0, flow::End::guest_reset}));
  EXPECT_TRUE(spliced(Protocol::vsock, vsock_endpoint(wire::kHostCid, 2048)));
}

TEST_F(MediatorTest, ClosesTheMediationChannelsRecordsAtItsEnd) {
  const LoopbackSocket plane(SOCK_STREAM);
  config_.mediation = MediationConfig{2048, "127.0.0.1:9900", {"127.0.0.1", plane.port(), {}}};
  start();
  const Fd guest = spliced(Protocol::vsock, vsock_endpoint(wire::kHostCid, 2048));
  netd_.reset();
  ASSERT_TRUE(ended());
  const auto last = directory_.records().back();
  EXPECT_EQ(last["event"], "mediation_close");
  EXPECT_EQ(last["end"], "lost");
}

TEST_F(MediatorTest, RefusesNewFlowsWhileTheAuditLogIsFull) {
  start();
  const LoopbackSocket server(SOCK_STREAM);
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 80), Refusal::reset);
  {
    const FullDisk full(directory_.audit_file());
    EXPECT_EQ(refusal_of(Protocol::tcp, "127.0.0.1", server.port()), Refusal::reset);
    EXPECT_EQ(arrived(server.accept()), Bytes());  // not one byte, and the end
  }
  EXPECT_TRUE(spliced(Protocol::tcp, "127.0.0.1", server.port()));
  EXPECT_TRUE(audit::verify(directory_.audit_file()));
}

TEST_F(MediatorTest, EndsWithNetdAndLeavesNoFlowOpen) {
  start();
  const LoopbackSocket server(SOCK_STREAM);
  const Fd upstream = spliced(Protocol::tcp, "127.0.0.1", server.port());
  netd_.reset();
  ASSERT_TRUE(ended());
  const auto all = directory_.records();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1]["event"], "egress_close");
  EXPECT_EQ(all[1]["end"], "lost");
}

TEST_F(MediatorTest, EndsWithTheSupervisor) {
  start();
  supervisor_.reset();
  EXPECT_TRUE(ended());
}

TEST_F(MediatorTest, PassesOverTheEndOfAFlowThatNeverWas) {
  start();
  ASSERT_TRUE(netd_->send(1, flow::Closed{}));
  EXPECT_EQ(refusal_of(Protocol::tcp, "10.0.0.1", 80), Refusal::reset);
}

TEST_F(MediatorTest, EndsWhenNetdSendsWhatIsNotItsToSend) {
  start();
  ASSERT_TRUE(netd_->send(1, flow::Sever{}));
  EXPECT_TRUE(ended());
}

TEST_F(MediatorTest, EndsWhenNetdReusesANumber) {
  start();
  const LoopbackSocket server(SOCK_STREAM);
  const Fd upstream = spliced(Protocol::tcp, "127.0.0.1", server.port());
  open(last_flow_, Protocol::tcp, "127.0.0.1", server.port());
  EXPECT_TRUE(ended());
}

TEST_F(MediatorTest, RefusesEveryIpFlowWhenIsolated) {
  config_.network.reset();
  start();
  EXPECT_EQ(refusal_of(Protocol::tcp, "127.0.0.1", 443), Refusal::reset);
  EXPECT_EQ(records(1)[0]["reason"], "isolated");
}

TEST_F(MediatorTest, RefusesFlowsBeyondItsBound) {
  start();
  const LoopbackSocket server(SOCK_DGRAM);
  for (std::size_t i = 0; i < kMaxFlows; ++i) ASSERT_TRUE(spliced(Protocol::udp, "127.0.0.1", server.port()));
  EXPECT_EQ(refusal_of(Protocol::udp, "127.0.0.1", server.port()), Refusal::admin_prohibited);
  EXPECT_EQ(directory_.records().back()["reason"], "too many flows");
  ASSERT_TRUE(netd_->send(1, flow::Closed{}));
  EXPECT_TRUE(spliced(Protocol::udp, "127.0.0.1", server.port()));
}

TEST_F(MediatorTest, RecordsThePolicyItStartsWith) {
  config_.egress.deny.push_back(policy::rule_text("evil.example"));
  start();
  ASSERT_TRUE(mediator_->record_policy());
  const auto record = records(1)[0];
  EXPECT_EQ(record["event"], "egress_listen");
  EXPECT_EQ(record["version"], 1);
  EXPECT_EQ(record["mode"], "broker");
  EXPECT_EQ(record["lockAllowlist"], false);
  EXPECT_EQ(record["rules"], 2);
}

TEST_F(MediatorTest, WillNotStartWithWhatIsNoRuleAndSaysWhereItStands) {
  config_.egress.allow.push_back(policy::rule_text("https://example.com", "agent.yaml:7"));
  const auto mediator = Mediator::open(loop_.io, config_, dns::ResolverList(std::vector<dns::Resolver>()), {});
  ASSERT_FALSE(mediator);
  EXPECT_NE(mediator.error().message.find("agent.yaml:7"), std::string::npos) << mediator.error().message;
}

TEST_F(MediatorTest, WillNotStartWithAForeignAuditLog) {
  std::ofstream(directory_.audit_file()) << "a letter\n";
  auto supervisor = socket_pair(SOCK_SEQPACKET);
  auto netd = socket_pair(SOCK_SEQPACKET);
  const auto mediator = Mediator::open(loop_.io, config_, dns::ResolverList(std::vector<dns::Resolver>()),
                                       {std::move(supervisor.second), std::move(netd.second), {}});
  ASSERT_FALSE(mediator);
  EXPECT_NE(mediator.error().message.find("egress.jsonl"), std::string::npos);
}

}  // namespace
}  // namespace microagent::mediator

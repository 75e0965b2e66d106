#include "mediator/judge.h"

#include <gtest/gtest.h>

#include "mediator/endpoint.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

class JudgeTest : public testing::Test {
 protected:
  JudgeTest() {
    config_.network = Network{*policy::parse_cidr("192.168.64.0/24"),
                              *policy::parse_address("192.168.64.1"),
                              {*policy::parse_address("192.0.2.53")}};
    surroundings_.subnet = config_.network->subnet;
    surroundings_.host = {*policy::parse_address("203.0.113.7")};
  }

  Judgement judged(flow::Protocol protocol, std::string_view address, std::uint16_t port) const {
    flow::Open open;
    open.protocol = protocol;
    open.destination = endpoint_of(*policy::parse_address(address), port);
    return judge(config_, surroundings_, open);
  }
  Judgement judged(const flow::Endpoint& vsock) const {
    flow::Open open;
    open.protocol = flow::Protocol::vsock;
    open.destination = vsock;
    return judge(config_, surroundings_, open);
  }

  Config config_;
  policy::Surroundings surroundings_;
};

TEST_F(JudgeTest, SendsPublicFlowsUpstream) {
  for (const auto protocol : {flow::Protocol::tcp, flow::Protocol::udp, flow::Protocol::icmp_echo}) {
    const Judgement judgement = judged(protocol, "198.51.100.1", 80);
    EXPECT_EQ(judgement.service, Service::upstream);
    EXPECT_TRUE(judgement.unlisted);
    EXPECT_EQ(judgement.destination, *policy::parse_address("198.51.100.1"));
  }
}

TEST_F(JudgeTest, DeniesTheInsideUnlessARuleAllowsIt) {
  for (const char* inside : {"127.0.0.1", "203.0.113.7", "192.168.64.1", "192.168.64.9"}) {
    const Judgement judgement = judged(flow::Protocol::tcp, inside, 80);
    EXPECT_EQ(judgement.service, Service::none) << inside;
    EXPECT_TRUE(judgement.internal);
    EXPECT_EQ(judgement.reason, "inside");
  }
  config_.egress.allow.push_back(policy::rule_text("127.0.0.1:80"));
  config_.policy = *policy::Policy::compile(config_.egress);
  EXPECT_EQ(judged(flow::Protocol::tcp, "127.0.0.1", 80).service, Service::upstream);
  EXPECT_FALSE(judged(flow::Protocol::tcp, "127.0.0.1", 80).unlisted);
  EXPECT_EQ(judged(flow::Protocol::icmp_echo, "127.0.0.1", 80).service,
            Service::none);  // 80 is an echo identifier here
}

TEST_F(JudgeTest, TakesTheResolversQueriesItself) {
  for (const char* resolver : {"192.168.64.1", "192.0.2.53"}) {
    EXPECT_EQ(judged(flow::Protocol::udp, resolver, 53).service, Service::dns);
    EXPECT_EQ(judged(flow::Protocol::tcp, resolver, 53).service, Service::dns);
    EXPECT_NE(judged(flow::Protocol::udp, resolver, 54).service, Service::dns);
    EXPECT_NE(judged(flow::Protocol::icmp_echo, resolver, 53).service, Service::dns);
  }
  EXPECT_EQ(judged(flow::Protocol::udp, "192.0.2.54", 53).service, Service::upstream);
}

TEST_F(JudgeTest, ServesTheAgentsVsockPortAlone) {
  EXPECT_EQ(judged(vsock_endpoint(wire::kHostCid, wire::kAgentHostPort)).service, Service::agent);
  EXPECT_EQ(judged(vsock_endpoint(wire::kHostCid, wire::kAgentHostPort + 1)).service, Service::none);
  EXPECT_EQ(judged(vsock_endpoint(3, wire::kAgentHostPort)).service, Service::none);
  EXPECT_EQ(judged(endpoint_of(*policy::parse_address("198.51.100.1"), wire::kAgentHostPort)).service, Service::none);
}

TEST_F(JudgeTest, DeniesEveryIpFlowWhenIsolated) {
  config_.network.reset();
  EXPECT_EQ(judged(flow::Protocol::tcp, "198.51.100.1", 443).service, Service::none);
  EXPECT_EQ(judged(flow::Protocol::tcp, "198.51.100.1", 443).reason, "isolated");
  EXPECT_EQ(judged(vsock_endpoint(wire::kHostCid, wire::kAgentHostPort)).service, Service::agent);
}

TEST_F(JudgeTest, DeniesWhatIsNoQuestion) {
  EXPECT_EQ(judged(flow::Protocol::tcp, "198.51.100.1", 0).service, Service::none);
  EXPECT_EQ(judged(static_cast<flow::Protocol>(99), "198.51.100.1", 80).service, Service::none);
  flow::Open open;
  open.protocol = flow::Protocol::tcp;
  open.destination = vsock_endpoint(2, 80);
  EXPECT_EQ(judge(config_, surroundings_, open).service, Service::none);
  open.destination = endpoint_of(*policy::parse_address("198.51.100.1"), 80);
  open.destination.port = 65'536 + 80;
  EXPECT_EQ(judge(config_, surroundings_, open).service, Service::none);
}

TEST_F(JudgeTest, LeadsTheDeclaredPortAndNoOtherToTheChannel) {
  config_.mediation = MediationConfig{2048, "unix:/x", {{}, 0, "/x"}};
  const Judgement judgement = judged(vsock_endpoint(wire::kHostCid, 2048));
  EXPECT_EQ(judgement.service, Service::mediation);
  EXPECT_EQ(judgement.rule, "--mediation 2048=unix:/x");
  for (const std::uint32_t port : {0U, 1U, 1021U, 2047U, 2049U, 2048U + 65536U, 0xffffffffU}) {
    EXPECT_EQ(judged(vsock_endpoint(wire::kHostCid, port)).service, Service::none) << port;
  }
  EXPECT_EQ(judged(vsock_endpoint(3, 2048)).service, Service::none) << "another CID";
  EXPECT_EQ(judged(vsock_endpoint(wire::kHostCid, wire::kAgentHostPort)).service, Service::agent);
  config_.mediation.reset();
  EXPECT_EQ(judged(vsock_endpoint(wire::kHostCid, 2048)).service, Service::none);
}

TEST_F(JudgeTest, SpeaksWithTheAgentOverAStreamOnly) {
  flow::Open open;
  open.protocol = flow::Protocol::vsock;
  open.destination = vsock_endpoint(wire::kHostCid, wire::kAgentHostPort);
  open.packets = 1;
  EXPECT_EQ(judge(config_, surroundings_, open).service, Service::none);
}

}  // namespace
}  // namespace microagent::mediator

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
  }

  Judgement judged(flow::Protocol protocol, std::string_view address, std::uint16_t port) const {
    flow::Open open;
    open.protocol = protocol;
    open.destination = endpoint_of(*policy::parse_address(address), port);
    return judge(config_, mode_, open);
  }
  Judgement judged(const flow::Endpoint& vsock) const {
    flow::Open open;
    open.protocol = flow::Protocol::vsock;
    open.destination = vsock;
    return judge(config_, mode_, open);
  }

  Config config_;
  policy::Mode mode_ = policy::Mode::broker;
};

TEST_F(JudgeTest, LeavesUpstreamFlowsToThePolicy) {
  const Judgement tcp = judged(flow::Protocol::tcp, "198.51.100.1", 443);
  EXPECT_EQ(tcp.service, Service::upstream);
  EXPECT_EQ(tcp.facts.protocol, policy::Protocol::tcp);
  EXPECT_EQ(tcp.facts.destination, *policy::parse_address("198.51.100.1"));
  EXPECT_EQ(tcp.facts.port, 443);
  EXPECT_EQ(tcp.facts.content, policy::Content::unseen);
  EXPECT_EQ(judged(flow::Protocol::udp, "198.51.100.1", 443).facts.protocol, policy::Protocol::udp);
  const Judgement ping = judged(flow::Protocol::icmp_echo, "198.51.100.1", 4711);
  EXPECT_EQ(ping.facts.protocol, policy::Protocol::icmp);
  EXPECT_FALSE(ping.facts.port);  // an echo has an identifier there
  EXPECT_EQ(judged(flow::Protocol::tcp, "::ffff:10.0.0.1", 80).facts.destination, *policy::parse_address("10.0.0.1"));
}

TEST_F(JudgeTest, TakesQueriesToEveryResolverItself) {
  for (const char* resolver : {"192.168.64.1", "192.0.2.53", "198.51.100.53"}) {
    EXPECT_EQ(judged(flow::Protocol::udp, resolver, 53).service, Service::dns);
    EXPECT_EQ(judged(flow::Protocol::tcp, resolver, 53).service, Service::dns);
    EXPECT_NE(judged(flow::Protocol::udp, resolver, 54).service, Service::dns);
    EXPECT_NE(judged(flow::Protocol::icmp_echo, resolver, 53).service, Service::dns);
  }
  EXPECT_FALSE(judged(flow::Protocol::udp, "192.168.64.1", 53).foreign_resolver);
  EXPECT_FALSE(judged(flow::Protocol::udp, "192.0.2.53", 53).foreign_resolver);
  EXPECT_TRUE(judged(flow::Protocol::tcp, "198.51.100.53", 53).foreign_resolver);
}

TEST_F(JudgeTest, TakesOnlyItsOwnQueriesInModeOff) {
  mode_ = policy::Mode::off;
  EXPECT_EQ(judged(flow::Protocol::udp, "192.168.64.1", 53).service, Service::dns);
  EXPECT_EQ(judged(flow::Protocol::udp, "198.51.100.53", 53).service, Service::upstream);
}

TEST_F(JudgeTest, ServesThePageAtTheGateway) {
  EXPECT_EQ(judged(flow::Protocol::tcp, "192.168.64.1", 80).service, Service::page);
  EXPECT_EQ(judged(flow::Protocol::tcp, "192.168.64.1", 81).service, Service::upstream);
  EXPECT_EQ(judged(flow::Protocol::udp, "192.168.64.1", 80).service, Service::upstream);
  EXPECT_EQ(judged(flow::Protocol::tcp, "192.168.64.2", 80).service, Service::upstream);
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
  EXPECT_EQ(judged(flow::Protocol::tcp, "198.51.100.1", 443).denial.reason, "isolated");
  EXPECT_EQ(judged(vsock_endpoint(wire::kHostCid, wire::kAgentHostPort)).service, Service::agent);
}

TEST_F(JudgeTest, DeniesWhatIsNoQuestion) {
  EXPECT_EQ(judged(flow::Protocol::tcp, "198.51.100.1", 0).service, Service::none);
  EXPECT_EQ(judged(static_cast<flow::Protocol>(99), "198.51.100.1", 80).service, Service::none);
  flow::Open open;
  open.protocol = flow::Protocol::tcp;
  open.destination = vsock_endpoint(2, 80);
  EXPECT_EQ(judge(config_, mode_, open).service, Service::none);
  open.destination = endpoint_of(*policy::parse_address("198.51.100.1"), 80);
  open.destination.port = 65'536 + 80;
  EXPECT_EQ(judge(config_, mode_, open).service, Service::none);
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
  EXPECT_EQ(judge(config_, mode_, open).service, Service::none);
}

}  // namespace
}  // namespace microagent::mediator

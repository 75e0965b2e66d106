// One test for each rule of the contract.

#include "workspace/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/forward.h"

namespace microagent::workspace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Manifest plain() {
  Manifest manifest;
  manifest.name = "web";
  return manifest;
}

Manifest with_static(const char* ip, const char* subnet, const char* gateway) {
  Manifest manifest = plain();
  manifest.network.ip = ip;
  manifest.network.subnet = subnet;
  manifest.network.gateway = gateway;
  return manifest;
}

Manifest with_routes(std::vector<std::string> routes) {
  Manifest manifest = plain();
  manifest.network.routes = std::move(routes);
  return manifest;
}

Manifest with_dns(std::vector<std::string> dns) {
  Manifest manifest = plain();
  manifest.network.dns = std::move(dns);
  return manifest;
}

Manifest with_forwards(std::initializer_list<const char*> mappings) {
  Manifest manifest = plain();
  for (const char* mapping : mappings) {
    const auto forwards = parse_publish(mapping);
    for (const Forward& forward : *forwards) manifest.network.forwards.push_back(forward);
  }
  return manifest;
}

// "KEY: MESSAGE", or nothing.
std::string broken(const Manifest& manifest) {
  const auto violation = find_violation(manifest);
  if (!violation) return {};
  EXPECT_FALSE(violation->remediation.empty());
  EXPECT_EQ(validate(manifest).error().kind, ErrorKind::usage);
  return violation->key + ": " + violation->message;
}

TEST(Rules, ANameIsEnough) { EXPECT_EQ(broken(plain()), ""); }

TEST(Rules, TheNameIsChecked) { EXPECT_THAT(broken(Manifest{}), HasSubstr("name: ")); }

TEST(Rules, OneHostPortIsPublishedOnce) {
  EXPECT_EQ(broken(with_forwards({"80:1", "80:1/udp", "127.0.0.2:80:1", "0:1", "0:1"})), "");
  EXPECT_EQ(broken(with_forwards({"81:1", "80:1", "0.0.0.0:80:2"})),
            "network.forwards[2]: 0.0.0.0:80:2/tcp takes host port 80 that 127.0.0.1:80:1/tcp takes already");
  EXPECT_THAT(broken(with_forwards({"80-90:80-90", "85:1"})), HasSubstr("network.forwards[11]: "));
}

TEST(Rules, ForwardsOfARecordAreCheckedToo) {
  Manifest manifest = with_forwards({"80:1"});
  manifest.network.forwards[0].guest_port = 0;
  EXPECT_THAT(broken(manifest), HasSubstr("guest port 0"));
  manifest = with_forwards({"80:1"});
  manifest.network.forwards[0].host = "localhost";
  EXPECT_THAT(broken(manifest), HasSubstr("\"localhost\" is not an IP address"));
}

TEST(Rules, ForwardsAreBounded) {
  Manifest manifest = with_forwards({"1-1024:1-1024"});
  EXPECT_EQ(broken(manifest), "");
  manifest.network.forwards.push_back(parse_publish("2000:1")->front());
  EXPECT_THAT(broken(manifest), HasSubstr("1025 ports are more"));
}

TEST(Rules, AnIsolatedWorkspaceHasNoNetworkToDeclare) {
  Manifest manifest = with_forwards({"80:1"});
  manifest.network.mode = NetworkMode::isolated;
  EXPECT_EQ(broken(manifest), "network.forwards[0]: an isolated workspace has no network device");
  for (Manifest declared :
       {with_static("10.0.0.2/24", "", "10.0.0.1"), with_static("", "10.0.0.0/24", ""), with_static("", "", "10.0.0.1"),
        with_dns({"1.1.1.1"}), with_routes({"0.0.0.0/0 via 10.0.0.1"})}) {
    declared.network.mode = NetworkMode::isolated;
    EXPECT_THAT(broken(declared), HasSubstr("an isolated workspace has no network device"));
  }
}

TEST(Rules, AStaticAddressIsComplete) {
  EXPECT_EQ(broken(with_static("10.0.0.2/24", "10.0.0.0/24", "10.0.0.1")), "");
  EXPECT_EQ(broken(with_static("10.0.0.2/24", "", "")), "network.ip: an ip needs a gateway");
  EXPECT_EQ(broken(with_static("", "10.0.0.0/24", "10.0.0.1")), "network.subnet: a subnet needs an ip");
  EXPECT_EQ(broken(with_static("", "", "10.0.0.1")), "network.gateway: a gateway needs an ip");
}

TEST(Rules, TheSubnetDefaultsToThatOfIp) {
  const Manifest manifest = with_static("10.0.0.2/24", "", "10.0.0.1");
  EXPECT_EQ(broken(manifest), "");
  EXPECT_EQ(effective(manifest.network).subnet, "10.0.0.0/24");
  EXPECT_EQ(manifest.network.subnet, "");
}

TEST(Rules, AddressesAreAddresses) {
  EXPECT_THAT(broken(with_static("10.0.0.2", "", "10.0.0.1")), HasSubstr("network.ip: \"10.0.0.2\" is not"));
  EXPECT_THAT(broken(with_static("fd00::2/64", "", "10.0.0.1")), HasSubstr("network.ip: "));
  EXPECT_THAT(broken(with_static("10.0.0.2/24", "10.0.0.0", "10.0.0.1")), HasSubstr("network.subnet: "));
  EXPECT_THAT(broken(with_static("10.0.0.2/24", "", "10.0.0.1/24")), HasSubstr("network.gateway: "));
  EXPECT_THAT(broken(with_static("10.0.0.2/24", "", "gateway")), HasSubstr("network.gateway: "));
}

TEST(Rules, PrefixLengthsAgree) {
  EXPECT_EQ(broken(with_static("10.0.0.2/24", "10.0.0.0/16", "10.0.0.1")),
            "network.subnet: prefix length 16 is not that of network.ip, 24");
}

TEST(Rules, PrefixLengthsLeaveANetwork) {
  EXPECT_EQ(broken(with_static("10.0.0.2/8", "", "10.0.0.1")), "");
  EXPECT_THAT(broken(with_static("10.0.0.2/7", "", "10.0.0.1")), HasSubstr("no usable network"));
  EXPECT_THAT(broken(with_static("10.0.0.2/32", "", "10.0.0.1")), HasSubstr("no usable network"));
}

TEST(Rules, ASubnetHasNoHostBits) {
  EXPECT_EQ(broken(with_static("10.0.0.2/24", "10.0.0.7/24", "10.0.0.1")),
            "network.subnet: 10.0.0.7/24 is an address, not a network");
}

TEST(Rules, BothLieInTheSubnet) {
  EXPECT_EQ(broken(with_static("10.0.1.2/24", "10.0.0.0/24", "10.0.0.1")),
            "network.ip: 10.0.1.2 lies outside the subnet 10.0.0.0/24");
  EXPECT_EQ(broken(with_static("10.0.0.2/24", "", "10.0.1.1")),
            "network.gateway: 10.0.1.1 lies outside the subnet 10.0.0.0/24");
}

TEST(Rules, NetworkAndBroadcastAreNoHosts) {
  EXPECT_EQ(broken(with_static("10.0.0.0/24", "", "10.0.0.1")),
            "network.ip: 10.0.0.0 is the network address of 10.0.0.0/24");
  EXPECT_EQ(broken(with_static("10.0.0.255/24", "", "10.0.0.1")),
            "network.ip: 10.0.0.255 is the broadcast address of 10.0.0.0/24");
  EXPECT_THAT(broken(with_static("10.0.0.2/24", "", "10.0.0.0")), HasSubstr("network.gateway: "));
  EXPECT_THAT(broken(with_static("10.0.0.2/24", "", "10.0.0.255")), HasSubstr("network.gateway: "));
}

TEST(Rules, A31HasTwoHosts) {
  EXPECT_EQ(broken(with_static("10.0.0.0/31", "", "10.0.0.1")), "");
  EXPECT_EQ(broken(with_static("10.0.0.1/31", "10.0.0.0/31", "10.0.0.0")), "");
  EXPECT_THAT(broken(with_static("10.0.0.1/31", "", "10.0.0.2")), HasSubstr("outside the subnet"));
}

TEST(Rules, GuestAndGatewayDiffer) {
  EXPECT_EQ(broken(with_static("10.0.0.1/24", "", "10.0.0.1")), "network.gateway: 10.0.0.1 is the guest's own address");
}

TEST(Rules, HostsHaveUnicastAddresses) {
  EXPECT_THAT(broken(with_static("127.0.0.2/24", "", "127.0.0.1")), HasSubstr("not an address that a host can have"));
  EXPECT_THAT(broken(with_static("224.0.0.2/24", "", "224.0.0.1")), HasSubstr("not an address that a host can have"));
}

TEST(Rules, ResolversAreAddresses) {
  EXPECT_EQ(broken(with_dns({"1.1.1.1", "9.9.9.9"})), "");
  EXPECT_EQ(broken(with_dns({"1.1.1.1", "127.0.0.53"})), "network.dns[1]: 127.0.0.53 is the guest itself there");
  for (const char* text : {"dns.example", "::1", "1.1.1.1:53", "0.0.0.0", "224.0.0.1", ""}) {
    EXPECT_THAT(broken(with_dns({"1.1.1.1", text})), HasSubstr("network.dns[1]: ")) << text;
  }
  EXPECT_EQ(broken(with_dns(std::vector<std::string>(8, "1.1.1.1"))), "");
  EXPECT_THAT(broken(with_dns(std::vector<std::string>(9, "1.1.1.1"))), HasSubstr("9 resolvers are too many"));
}

TEST(Rules, RoutesAreRoutes) {
  EXPECT_EQ(broken(with_routes({"0.0.0.0/0 via 192.168.64.1", "10.0.0.0/8 via 192.168.64.1"})), "");
  for (const char* text : {"10.0.0.0/8", "10.0.0.0 via 192.168.64.1", "10.0.0.0/8 via gateway", "via 192.168.64.1",
                           "10.0.0.0/8 dev eth0", "10.0.0.0/8 via 192.168.64.1 metric 1", ""}) {
    EXPECT_THAT(broken(with_routes({text})), HasSubstr("is not a route")) << text;
  }
}

TEST(Rules, RoutesLeadThroughTheSubnet) {
  EXPECT_THAT(broken(with_routes({"10.0.0.0/8 via 192.168.65.1"})), HasSubstr("outside the subnet"));
  EXPECT_THAT(broken(with_routes({"10.0.0.0/8 via 192.168.64.2"})), HasSubstr("is the guest itself"));
  EXPECT_THAT(broken(with_routes({"10.0.0.0/8 via 192.168.64.255"})), HasSubstr("broadcast"));
}

TEST(Rules, RoutesHaveNetworksAndDiffer) {
  EXPECT_EQ(broken(with_routes({"10.1.0.0/8 via 192.168.64.1"})),
            "network.routes[0]: 10.1.0.0/8 is an address, not a network");
  EXPECT_EQ(broken(with_routes({"10.0.0.0/8 via 192.168.64.1", "10.0.0.0/8 via 192.168.64.3"})),
            "network.routes[1]: 10.0.0.0/8 has a route already");
}

TEST(Rules, ResourcesAreBounded) {
  Manifest manifest = plain();
  for (const std::uint32_t memory : {0U, kMinMemoryMib - 1, kMaxMemoryMib + 1}) {
    manifest.resources.memory_mib = memory;
    EXPECT_THAT(broken(manifest), HasSubstr("resources.memory: "));
  }
  manifest = plain();
  for (const std::uint32_t cpus : {0U, kMaxCpus + 1}) {
    manifest.resources.cpus = cpus;
    EXPECT_THAT(broken(manifest), HasSubstr("resources.cpus: "));
  }
}

TEST(Rules, VariablesHaveNames) {
  Manifest manifest = plain();
  manifest.env = {"A=", "_b1=x=y"};
  EXPECT_EQ(broken(manifest), "");
  for (const char* variable : {"A", "=x", "1A=x", "A-B=x", ""}) {
    manifest.env = {"A=1", variable};
    EXPECT_THAT(broken(manifest), HasSubstr("env[1]: ")) << variable;
  }
  manifest.env = {std::string("A=\0", 3)};
  EXPECT_THAT(broken(manifest), HasSubstr("zero byte"));
}

TEST(Rules, AValueIsNeverRepeated) {
  Manifest manifest = plain();
  manifest.env = {"BAD NAME=hunter2"};
  EXPECT_THAT(broken(manifest), testing::Not(HasSubstr("hunter2")));
}

TEST(Rules, WordsAreBounded) {
  Manifest manifest = plain();
  manifest.entrypoint = std::string(kMaxWords, 'x');
  EXPECT_EQ(broken(manifest), "");
  manifest.entrypoint += 'x';
  EXPECT_THAT(broken(manifest), HasSubstr("more than 262144"));
}

TEST(Rules, OneThingIsRun) {
  Manifest manifest = plain();
  manifest.command = {"ls", ""};
  EXPECT_EQ(broken(manifest), "");
  manifest.entrypoint = "ls";
  EXPECT_THAT(broken(manifest), HasSubstr("command: "));
  manifest = plain();
  manifest.command = {"a", std::string("b\0", 2)};
  EXPECT_THAT(broken(manifest), HasSubstr("command[1]: "));
  manifest = plain();
  manifest.init = "/sbin/init";
  EXPECT_THAT(broken(manifest), HasSubstr("init: the built-in base"));
  manifest.image.emplace();
  EXPECT_EQ(broken(manifest), "");
  manifest.command = {"ls"};
  EXPECT_THAT(broken(manifest), HasSubstr("init: "));
  manifest.command.clear();
  for (const char* path : {"sbin/init", "/sbin/../init", "/sbin/", "/", "/a//b"}) {
    manifest.init = path;
    EXPECT_THAT(broken(manifest), HasSubstr("init: is no absolute path")) << path;
  }
}

TEST(Rules, ADiskIsAnImages) {
  Manifest manifest = plain();
  manifest.resources.disk_mib = 1024;
  EXPECT_THAT(broken(manifest), HasSubstr("resources.disk: the built-in base"));
  manifest.image.emplace();
  EXPECT_EQ(broken(manifest), "");
  for (const std::uint32_t disk : {kMinDiskMib - 1, kMaxDiskMib + 1}) {
    manifest.resources.disk_mib = disk;
    EXPECT_THAT(broken(manifest), HasSubstr("out of bounds"));
  }
}

TEST(Rules, EgressRulesAreBounded) {
  Manifest manifest = plain();
  manifest.egress.deny.resize(2);
  EXPECT_EQ(broken(manifest), "");
  manifest.egress.deny[1].destination = std::string(kMaxEgressWord, 'a');
  EXPECT_EQ(broken(manifest), "");
  manifest.egress.deny[1].paths = {std::string(kMaxEgressWord + 1, 'a')};
  EXPECT_EQ(broken(manifest), "egress.deny[1]: a word of the rule is too long");
  manifest.egress.deny.resize(1);
  manifest.egress.allow.resize(kMaxEgressRules - 1);
  EXPECT_EQ(broken(manifest), "");
  manifest.egress.passthrough.resize(1);
  EXPECT_THAT(broken(manifest), HasSubstr("egress: 200001 rules are more than 200000"));
}

TEST(Rules, TheEgressModeIsOneOfThree) {
  Manifest manifest = plain();
  for (const char* mode : {"broker", "mitm", "off"}) {
    manifest.egress.mode = mode;
    EXPECT_EQ(broken(manifest), "");
  }
  manifest.egress.mode = "guarded";
  EXPECT_EQ(broken(manifest), "egress.mode: is not a mode");
}

TEST(Effective, FillsTheDefaultsIn) {
  const EffectiveNetwork network = effective(Network{});
  EXPECT_EQ(network.ip, "192.168.64.2/24");
  EXPECT_EQ(network.subnet, "192.168.64.0/24");
  EXPECT_EQ(network.gateway, "192.168.64.1");
  EXPECT_THAT(network.dns, ElementsAre("192.168.64.1"));
  EXPECT_THAT(network.routes, ElementsAre("0.0.0.0/0 via 192.168.64.1"));
}

TEST(Effective, KeepsWhatIsDeclared) {
  Network declared = with_static("10.0.0.2/24", "", "10.0.0.1").network;
  declared.dns = {"9.9.9.9"};
  declared.routes = {"10.9.0.0/16 via 10.0.0.1"};
  const EffectiveNetwork network = effective(declared);
  EXPECT_EQ(network.ip, "10.0.0.2/24");
  EXPECT_THAT(network.dns, ElementsAre("9.9.9.9"));
  EXPECT_THAT(network.routes, ElementsAre("10.9.0.0/16 via 10.0.0.1", "0.0.0.0/0 via 10.0.0.1"));

  declared.routes = {"0.0.0.0/0 via 10.0.0.3"};
  EXPECT_THAT(effective(declared).routes, ElementsAre("0.0.0.0/0 via 10.0.0.3"));
}

}  // namespace
}  // namespace microagent::workspace

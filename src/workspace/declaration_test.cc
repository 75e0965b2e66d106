#include "workspace/declaration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/forward.h"

namespace microagent::workspace {
namespace {

using testing::ElementsAre;

using Text = Declared<std::string>;

Declaration named() {
  Declaration declaration;
  declaration.name = {"web", "NAME"};
  return declaration;
}

TEST(Declaration, FlagsWin) {
  Declaration flags = named(), spec;
  spec.name = {"other", "s:1: name"};
  spec.memory_mib = {256, "s:2: resources.memory"};
  spec.cpus = {2, "s:3: resources.cpus"};
  flags.cpus = {4, "--cpus"};
  const auto manifest = resolve(unite(flags, spec));
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->name, "web");
  EXPECT_EQ(manifest->resources.memory_mib, 256U);
  EXPECT_EQ(manifest->resources.cpus, 4U);
}

TEST(Declaration, ListsUnite) {
  Declaration flags = named(), spec;
  spec.dns = {Text{"1.1.1.1", "s"}, Text{"8.8.8.8", "s"}};
  flags.dns = {Text{"9.9.9.9", "--dns"}, Text{"1.1.1.1", "--dns"}};
  spec.routes = {Text{"default via 192.168.64.1", "s"}};
  flags.routes = {Text{"0.0.0.0/0  via 192.168.64.1", "--route"}};
  const auto manifest = resolve(unite(flags, spec));
  ASSERT_TRUE(manifest);
  EXPECT_THAT(manifest->network.dns, ElementsAre("1.1.1.1", "8.8.8.8", "9.9.9.9"));
  EXPECT_THAT(manifest->network.routes, ElementsAre("0.0.0.0/0 via 192.168.64.1"));
}

EgressRule rule(const char* destination, const char* place) {
  EgressRule rule;
  rule.destination = destination;
  rule.place = place;
  return rule;
}

TEST(Declaration, EgressUnitesListsAndTheFlagsWin) {
  Declaration flags = named(), spec;
  flags.egress.mode = {"mitm", "--egress"};
  flags.egress.allow = {rule("b.com", "--egress-allow")};
  spec.egress.mode = {"broker", "s:1: egress.mode"};
  spec.egress.lock_allowlist = {true, "s:2"};
  spec.egress.observe = {true, "s:2"};
  spec.egress.allow = {rule("a.com", "s:3")};
  spec.egress.deny = {rule("c.com", "s:4")};
  spec.egress.passthrough = {rule("d.com", "s:5")};
  spec.egress.trust = {Text{"/a.pem", "s:6"}};
  flags.egress.trust = {Text{"/b.pem", "--egress-trust"}};
  spec.egress.max_total_bytes = {1, "s:6"};
  spec.egress.max_bytes_per_second = {2, "s:7"};
  spec.egress.max_connections = {3, "s:8"};
  flags.egress.max_connections = {4, "--egress-max-conns"};
  const auto manifest = resolve(unite(flags, spec));
  ASSERT_TRUE(manifest) << manifest.error().message;
  Egress expected;
  expected.mode = "mitm";
  expected.lock_allowlist = true;
  expected.observe = true;
  expected.allow = {rule("a.com", "s:3"), rule("b.com", "--egress-allow")};
  expected.deny = {rule("c.com", "s:4")};
  expected.passthrough = {rule("d.com", "s:5")};
  expected.trust = {"/a.pem", "/b.pem"};
  expected.max_total_bytes = 1;
  expected.max_bytes_per_second = 2;
  expected.max_connections = 4;
  EXPECT_EQ(manifest->egress, expected);
}

TEST(Declaration, AVariableHasTheFlagsValue) {
  Declaration flags = named(), spec;
  spec.env = {Text{"A=spec", "s"}, Text{"B=spec", "s"}};
  flags.env = {Text{"A=flag", "--env"}};
  EXPECT_THAT(resolve(unite(flags, spec))->env, ElementsAre("A=flag", "B=spec"));
}

TEST(Declaration, ForwardsOfBothCollide) {
  Declaration flags = named(), spec;
  spec.forwards = {{parse_publish("80:1")->front(), "s:4: network.forwards[0]"}};
  flags.forwards = {{parse_publish("80:1")->front(), "--publish 80:1"}};
  const auto manifest = resolve(unite(flags, spec));
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().message,
            "--publish 80:1: 127.0.0.1:80:1/tcp takes host port 80 that 127.0.0.1:80:1/tcp takes already");
}

TEST(Declaration, ErrorsSayThePlace) {
  Declaration declaration = named();
  declaration.ip = {"10.0.0.2/24", "microagent.yaml:5: network.ip"};
  EXPECT_EQ(resolve(declaration).error().message, "microagent.yaml:5: network.ip: an ip needs a gateway");
  declaration.gateway = {"", "--gateway"};
  EXPECT_EQ(resolve(declaration).error().message, "--gateway: is empty");
}

TEST(Declaration, ReadsModes) {
  EXPECT_EQ(parse_mode("user"), NetworkMode::user);
  EXPECT_EQ(parse_mode("isolated"), NetworkMode::isolated);
  for (const char* text : {"", "nat", "User", "isolated "}) {
    ASSERT_FALSE(parse_mode(text));
    EXPECT_EQ(parse_mode(text).error().remediation, "use user or isolated");
  }
}

TEST(Declaration, ReadsSizesOfMemory) {
  EXPECT_EQ(parse_memory("512"), 512U);
  EXPECT_EQ(parse_memory("512m"), 512U);
  EXPECT_EQ(parse_memory("512MiB"), 512U);
  EXPECT_EQ(parse_memory("2G"), 2048U);
  EXPECT_EQ(parse_memory("2GiB"), 2048U);
  for (const char* text : {"", "G", "-1", "1.5G", "512k", "2 G", "99999999999", "4194304G"})
    EXPECT_FALSE(parse_memory(text));
}

TEST(Declaration, ReadsNumbersOfProcessors) {
  EXPECT_EQ(parse_cpus("2"), 2U);
  for (const char* text : {"", "two", "-1", "1.5"}) EXPECT_FALSE(parse_cpus(text)) << text;
}

}  // namespace
}  // namespace microagent::workspace

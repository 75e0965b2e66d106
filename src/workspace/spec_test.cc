#include "workspace/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/forward.h"

namespace microagent::workspace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kWhole = R"(name: research
network:
  mode: user
  forwards:
    - host: 127.0.0.1
      hostPort: 8080
      guestPort: 80
      protocol: tcp
    - {hostPort: 5000-5001, guestPort: 6000-6001, protocol: udp}
  ip: 192.168.64.2/24
  subnet: 192.168.64.0/24
  gateway: 192.168.64.1
  dns: [1.1.1.1, 8.8.8.8]
  routes:
    - 0.0.0.0/0 via 192.168.64.1
resources: {memory: 1GiB, cpus: 2}
env: {GREETING: hello world, COUNT: 3}
entrypoint: httpd -f -p 80
egress:
  allow: ["10.1.2.3:5432"]
)";

TEST(Spec, ReadsEveryKey) {
  const auto spec = parse_spec(kWhole, "microagent.yaml");
  ASSERT_TRUE(spec) << spec.error().message;
  const auto manifest = resolve(*spec);
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->name, "research");
  std::vector<std::string> ports;
  for (const Forward& forward : manifest->network.forwards) ports.push_back(describe(forward));
  EXPECT_THAT(ports, ElementsAre("127.0.0.1:8080:80/tcp", "127.0.0.1:5000:6000/udp", "127.0.0.1:5001:6001/udp"));
  EXPECT_EQ(manifest->network.ip, "192.168.64.2/24");
  EXPECT_EQ(manifest->network.subnet, "192.168.64.0/24");
  EXPECT_EQ(manifest->network.gateway, "192.168.64.1");
  EXPECT_THAT(manifest->network.dns, ElementsAre("1.1.1.1", "8.8.8.8"));
  EXPECT_THAT(manifest->network.routes, ElementsAre("0.0.0.0/0 via 192.168.64.1"));
  EXPECT_EQ(manifest->resources.memory_mib, 1024U);
  EXPECT_EQ(manifest->resources.cpus, 2U);
  EXPECT_THAT(manifest->env, ElementsAre("GREETING=hello world", "COUNT=3"));
  EXPECT_EQ(manifest->entrypoint, "httpd -f -p 80");
  ASSERT_EQ(manifest->egress.allow.size(), 1U);
  EXPECT_EQ(manifest->egress.allow[0].destination, "10.1.2.3:5432");
  EXPECT_EQ(manifest->egress.allow[0].place, "microagent.yaml:20: egress.allow[0]");
}

TEST(Spec, ReadsImageDiskAndVolumes) {
  const auto spec = parse_spec(
      "name: a\nimage: oci:images/x:1\ncommand: [ls, -l]\nresources: {disk: 20GiB}\nvolumes: ['data:/var/data']\n",
      "/specs/microagent.yaml");
  ASSERT_TRUE(spec) << spec.error().message;
  const auto manifest = resolve(*spec);
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->image->reference, "oci:/specs/images/x:1");
  EXPECT_THAT(manifest->command, ElementsAre("ls", "-l"));
  EXPECT_EQ(manifest->resources.disk_mib, 20U * 1024);
  EXPECT_THAT(manifest->volumes, ElementsAre(Volume{"data", "/var/data"}));
  const auto own_init = parse_spec("name: a\nimage: x\ninit: /sbin/init\n", "s");
  ASSERT_TRUE(own_init);
  EXPECT_EQ(resolve(*own_init)->init, "/sbin/init");
  const auto bundled = parse_spec("name: a\nimage: x\nbundles: [app.tar.gz, '/all/b.tar:/srv/b']\n", "/specs/s");
  ASSERT_TRUE(bundled);
  EXPECT_THAT(resolve(*bundled)->bundles,
              ElementsAre(Bundle{"/specs/app.tar.gz", "/"}, Bundle{"/all/b.tar", "/srv/b"}));
  EXPECT_THAT(parse_spec("bundles: [':/x']\n", "s").error().message, StartsWith("s:1: bundles[0]: "));
  EXPECT_THAT(parse_spec("volumes: [data]\n", "s").error().message, StartsWith("s:1: volumes[0]: "));
}

TEST(Spec, TakesVariablesAsAList) {
  const auto spec = parse_spec("name: a\nenv: [A=1, 'B=x y']\n", "s");
  ASSERT_TRUE(spec);
  EXPECT_THAT(resolve(*spec)->env, ElementsAre("A=1", "B=x y"));
}

TEST(Spec, RulesOverTheWholeSayFileAndLineToo) {
  const auto spec = parse_spec("name: a\nnetwork:\n  ip: 10.0.0.2/24\n  gateway: 10.0.0.2\n", "s.yaml");
  ASSERT_TRUE(spec);
  EXPECT_EQ(resolve(*spec).error().message, "s.yaml:4: network.gateway: 10.0.0.2 is the guest's own address");
}

struct Refusal {
  const char* text;
  const char* message;
};

class RefusedSpec : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedSpec, SaysFileAndLine) {
  const auto spec = parse_spec(GetParam().text, "s");
  ASSERT_FALSE(spec) << GetParam().text;
  EXPECT_EQ(spec.error().kind, ErrorKind::usage);
  EXPECT_THAT(spec.error().message, StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Spec, RefusedSpec,
    testing::Values(
        Refusal{"", "s:1: is empty"}, Refusal{"# nothing\n", "s:1: is empty"},
        Refusal{"just words", "s:1: is not a map"}, Refusal{"- a\n", "s:1: is not a map"},
        Refusal{"name: a\nport: 80\n", "s:2: port: unknown key"},
        Refusal{"name: a\nnetwork:\n  mode: user\n  modes: x\n", "s:4: network.modes: unknown key"},
        Refusal{"name: a\nnetwork: {forwards: [{hostPort: 1, guestPort: 2, port: 3}]}\n",
                "s:2: network.forwards[0].port: unknown key"},
        Refusal{"name: a\n\nname: b\n", "s:3: name: the key stands here twice"},
        Refusal{"env:\n  A: 1\n  A: 2\n", "s:3: env.A: the key stands here twice"},
        Refusal{"name: [a]\n", "s:1: name: is not a single value"},
        Refusal{"name: a\nnetwork: user\n", "s:2: network: is not a map"},
        Refusal{"network:\n  dns: 1.1.1.1\n", "s:2: network.dns: is not a list"},
        Refusal{"network:\n  dns: [[1.1.1.1]]\n", "s:2: network.dns[0]: is not a single value"},
        Refusal{"network:\n  forwards: {hostPort: 1}\n", "s:2: network.forwards: is not a list"},
        Refusal{"network:\n  forwards:\n    - 8080:80\n", "s:3: network.forwards[0]: is not a map"},
        Refusal{"network:\n  forwards:\n    - hostPort: 80\n", "s:3: network.forwards[0]: a forward needs"},
        Refusal{"network:\n  forwards:\n    - {hostPort: x, guestPort: 80}\n",
                "s:3: network.forwards[0]: host port \"x\""},
        Refusal{"network:\n  forwards:\n    - {hostPort: 1, guestPort: 0}\n", "s:3: network.forwards[0]: guest port"},
        Refusal{"network:\n  forwards:\n    - {hostPort: 1, guestPort: 2, host: '[::1]'}\n",
                "s:3: network.forwards[0]: host"},
        Refusal{"network:\n  mode: nat\n", "s:2: network.mode: \"nat\" is not a network mode"},
        Refusal{"resources:\n  cpus: two\n", "s:2: resources.cpus: \"two\""},
        Refusal{"resources:\n  memory: [1]\n", "s:2: resources.memory: is not a single value"},
        Refusal{"resources: 5\n", "s:1: resources: is not a map"}, Refusal{"env: A=1\n", "s:1: env: is not a map"},
        Refusal{"env:\n  A:\n", "s:2: env.A: is not a single value"}, Refusal{"env:\n  A: [1]\n", "s:2: env.A: is not"},
        Refusal{"egress:\n  allow: 10.0.0.1\n", "s:2: egress.allow: is not a list"},
        Refusal{"egress:\n  swap: []\n", "s:2: egress.swap: unknown key"},
        Refusal{"entrypoint:\n  - a\n", "s:2: entrypoint: is not a single value"},
        Refusal{"name: a\n  b: c\n", "s:2: is not YAML"}, Refusal{"name: [a\n", "s:2: is not YAML"},
        Refusal{"name: *nobody\n", "s:1: is not YAML"}, Refusal{",l}a|", "s:1: is not YAML"},
        Refusal{"name: a\n---\nname: b\n", "s:3: a second document"},
        Refusal{"? [a]\n: b\n", "s:1: is not a map with plain keys"}));

TEST(Spec, UnknownKeysNameTheKnown) {
  EXPECT_EQ(parse_spec("resources:\n  ram: 5\n", "s").error().remediation,
            "the keys known here are: cpus, disk, memory");
}

TEST(Spec, TakesAnAgentBlock) {
  const auto spec = parse_spec(
      "agent:\n  entry: run me\n  egress: strict\n  allow: [a.example]\n  cred-swap: [openai, github=file:/t]\n"
      "egress:\n  allow: [b.example]\n",
      "s");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->entrypoint->value, "run me");
  EXPECT_EQ(spec->entrypoint->place, "s:2: agent.entry");
  EXPECT_EQ(spec->egress.mode->value, "strict");
  ASSERT_EQ(spec->egress.allow.size(), 2U);
  EXPECT_EQ(spec->egress.allow[0].destination, "a.example");
  EXPECT_EQ(spec->egress.allow[1].destination, "b.example");
  ASSERT_EQ(spec->providers.size(), 2U);
  EXPECT_EQ(spec->providers[1].value, "github=file:/t");
  EXPECT_EQ(spec->providers[1].place, "s:5: agent.cred-swap[1]");
}

TEST(Spec, RefusesWhatAnAgentBlockSaysASecondTime) {
  for (const char* text : {"entrypoint: a\nagent: {entry: b}\n", "agent: {entry: b}\nentrypoint: a\n",
                           "egress: {mode: mitm}\nagent: {egress: off}\n"}) {
    const auto spec = parse_spec(text, "s");
    ASSERT_FALSE(spec) << text;
    EXPECT_THAT(spec.error().message, HasSubstr("says it too, at s:"));
  }
  EXPECT_THAT(parse_spec("agent: {broker: {}}\n", "s").error().message, HasSubstr("agent.broker: unknown key"));
}

TEST(Spec, SurvivesDeepNesting) {
  EXPECT_FALSE(parse_spec(std::string(100'000, '['), "s"));
  EXPECT_FALSE(parse_spec("name: " + std::string(100'000, '{'), "s"));
}

TEST(Spec, SurvivesEveryTruncation) {
  const std::string whole = kWhole;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto spec = parse_spec(whole.substr(0, size), "s");
    if (!spec) EXPECT_THAT(spec.error().message, StartsWith("s:")) << size;
  }
}

TEST(Spec, NamesAFileThatIsNotThere) {
  const auto spec = load_spec("/nonexistent/microagent.yaml");
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().kind, ErrorKind::not_found);
  EXPECT_THAT(spec.error().message, HasSubstr("/nonexistent/microagent.yaml"));
}

TEST(Spec, RefusesWhatIsNoFile) {
  EXPECT_THAT(load_spec("/").error().message, HasSubstr("is not a regular file"));
  EXPECT_THAT(load_spec("/dev/zero").error().message, HasSubstr("is not a regular file"));
}

}  // namespace
}  // namespace microagent::workspace

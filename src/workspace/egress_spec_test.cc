#include "workspace/egress_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/spec.h"

namespace microagent::workspace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kWhole = R"(mode: strict
lockAllowlist: true
observe: true
allow:
  - api.example.com
  - "*.example.com:443"
  - host: .example.org
    ports: [443, 8000-8010]
    methods: GET
    paths: [/v1/*]
    maxBytes: 10MiB
    maxConnections: 4
  - {cidr: 10.1.0.0/16, ports: 5432}
deny: [telemetry.example.com]
passthrough: [.pinned.example]
maxTotalBytes: 50GiB
maxBytesPerSecond: 1048576
maxConnections: 256
)";

EgressRule text(const char* destination, const char* place) {
  EgressRule rule;
  rule.destination = destination;
  rule.place = place;
  return rule;
}

void expect_whole(const EgressDeclaration& egress, const std::string& file, const std::string& prefix, int above) {
  const auto at = [&](int line, const char* key) {
    return file + ":" + std::to_string(line + above) + ": " + prefix + key;
  };
  EXPECT_EQ(egress.mode->value, "strict");
  EXPECT_EQ(egress.mode->place, at(1, "mode"));
  EXPECT_TRUE(egress.lock_allowlist->value);
  EXPECT_TRUE(egress.observe->value);
  EgressRule host = text(".example.org", at(7, "allow[2]").c_str());
  host.form = EgressRule::Form::host;
  host.ports = {"443", "8000-8010"};
  host.methods = {"GET"};
  host.paths = {"/v1/*"};
  host.max_bytes = 10 << 20;
  host.max_connections = 4;
  EgressRule cidr = text("10.1.0.0/16", at(13, "allow[3]").c_str());
  cidr.form = EgressRule::Form::cidr;
  cidr.ports = {"5432"};
  EXPECT_THAT(egress.allow, ElementsAre(text("api.example.com", at(5, "allow[0]").c_str()),
                                        text("*.example.com:443", at(6, "allow[1]").c_str()), host, cidr));
  EXPECT_THAT(egress.deny, ElementsAre(text("telemetry.example.com", at(14, "deny[0]").c_str())));
  EXPECT_THAT(egress.passthrough, ElementsAre(text(".pinned.example", at(15, "passthrough[0]").c_str())));
  EXPECT_EQ(egress.max_total_bytes->value, std::uint64_t{50} << 30);
  EXPECT_EQ(egress.max_bytes_per_second->value, 1048576U);
  EXPECT_EQ(egress.max_connections->value, 256U);
}

TEST(PolicyFile, IsReadWhole) {
  const auto policy = parse_policy_file(kWhole, "p.yaml");
  ASSERT_TRUE(policy) << policy.error().message;
  expect_whole(*policy, "p.yaml", "", 0);
}

TEST(PolicyFile, HasTheKeysOfTheSpec) {
  std::string spec = "name: web\negress:\n";
  std::istringstream lines(kWhole);
  for (std::string line; std::getline(lines, line);) spec += "  " + line + "\n";
  const auto declaration = parse_spec(spec, "s.yaml");
  ASSERT_TRUE(declaration) << declaration.error().message;
  expect_whole(declaration->egress, "s.yaml", "egress.", 2);
}

TEST(PolicyFile, MayBeJson) {
  const auto policy =
      parse_policy_file("{\n  \"allow\": [\"a.com\",\n    {\"host\": \"b.com\", \"ports\": [443]}]\n}", "dir/p.json");
  ASSERT_TRUE(policy) << policy.error().message;
  ASSERT_EQ(policy->allow.size(), 2U);
  EXPECT_EQ(policy->allow[1].place, "dir/p.json:3: allow[1]");
  EXPECT_EQ(policy->allow[1].ports, std::vector<std::string>{"443"});
  EXPECT_THAT(parse_policy_file("{\"allow\": []", "p.json").error().message, StartsWith("p.json:1: is not JSON"));
  EXPECT_THAT(parse_policy_file("{\n\"allow\": [],\n}", "p.json").error().message, StartsWith("p.json:3: is not JSON"));
  EXPECT_THAT(parse_policy_file("{\"maxTotalBytes\": 1e999}", "p.json").error().message,
              StartsWith("p.json:1: holds a number that is too large"));
  EXPECT_THAT(parse_policy_file("allow: []", "p.json").error().message, StartsWith("p.json:1: is not JSON"));
  EXPECT_THAT(parse_policy_file("{\"allow\": [], \"allow\": []}", "p.json").error().message, HasSubstr("twice"));
}

struct Refusal {
  const char* text;
  const char* message;
};

class RefusedPolicyFile : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedPolicyFile, SaysFileAndLine) {
  const auto policy = parse_policy_file(GetParam().text, "p.yml");
  ASSERT_FALSE(policy) << GetParam().text;
  EXPECT_EQ(policy.error().kind, ErrorKind::usage);
  EXPECT_THAT(policy.error().message, StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedPolicyFile,
    testing::Values(Refusal{"", "p.yml:1: is empty"}, Refusal{"- a.com\n", "p.yml:1: is not a map"},
                    Refusal{"allow:\n  - a.com\nswaps: {}\n", "p.yml:3: swaps: unknown key"},
                    Refusal{"allow:\n  - a.com\n  -\n", "p.yml:"},
                    Refusal{"allow: a.com\n", "p.yml:1: allow: is not a list"},
                    Refusal{"allow:\n  - [a.com]\n", "p.yml:2: allow[0]: is not a single value"},
                    Refusal{"allow:\n  - {host: a.com, cidr: 10.0.0.0/8}\n", "p.yml:2: allow[0]: a rule needs one of"},
                    Refusal{"allow:\n  - {ports: 80}\n", "p.yml:2: allow[0]: a rule needs one of"},
                    Refusal{"allow:\n  - {host: a.com, port: 80}\n", "p.yml:2: allow[0].port: unknown key"},
                    Refusal{"allow:\n  - {host: a.com, ports: []}\n", "p.yml:2: allow[0].ports: is an empty list"},
                    Refusal{"allow:\n  - {host: a.com, ports: {a: 1}}\n", "p.yml:2: allow[0].ports: is not a list"},
                    Refusal{"allow:\n  - {host: a.com, maxBytes: lots}\n", "p.yml:2: allow[0].maxBytes: \"lots\""},
                    Refusal{"allow: []\nallow: []\n", "p.yml:2: allow: the key stands here twice"},
                    Refusal{"lockAllowlist: maybe\n", "p.yml:1: lockAllowlist: \"maybe\" is neither"},
                    Refusal{"maxTotalBytes: -1\n", "p.yml:1: maxTotalBytes: \"-1\""},
                    Refusal{"maxConnections: 1.5\n", "p.yml:1: maxConnections: \"1.5\""},
                    Refusal{"mode: [broker]\n", "p.yml:1: mode: is not a single value"},
                    Refusal{"allow:\n  - *.example.com\n", "p.yml:2: is not YAML"},
                    Refusal{"mode: off\n---\nmode: off\n", "p.yml:3: a second document"}));

TEST(PolicyFile, IsNamedByItsFormat) {
  for (const char* file : {"p", "p.txt", "p.yaml.bak", "json"}) {
    EXPECT_THAT(parse_policy_file("mode: off\n", file).error().message, HasSubstr("is neither .yaml")) << file;
  }
  EXPECT_THAT(load_policy_file("/nonexistent/p.yaml").error().message, HasSubstr("/nonexistent/p.yaml"));
}

TEST(PolicyFile, SurvivesEveryTruncation) {
  const std::string whole = kWhole;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto policy = parse_policy_file(whole.substr(0, size), "p.yaml");
    if (!policy) EXPECT_THAT(policy.error().message, StartsWith("p.yaml:")) << size;
  }
}

TEST(PolicyFile, NamesFilesToTrustFromWhereItLies) {
  const auto policy = parse_policy_file("trust: [ca.pem, ../b.pem, /abs.pem]\n", "/etc/agent/policy.yaml");
  ASSERT_TRUE(policy) << policy.error().message;
  ASSERT_EQ(policy->trust.size(), 3U);
  EXPECT_EQ(policy->trust[0].value, "/etc/agent/ca.pem");
  EXPECT_EQ(policy->trust[0].place, "/etc/agent/policy.yaml:1: trust[0]");
  EXPECT_EQ(policy->trust[1].value, "/etc/b.pem");
  EXPECT_EQ(policy->trust[2].value, "/abs.pem");
  const auto spec = parse_spec("name: web\negress:\n  trust: [ca.pem]\n", "/w/microagent.yaml");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->egress.trust.at(0).value, "/w/ca.pem");
  EXPECT_EQ(spec->egress.trust.at(0).place, "/w/microagent.yaml:3: egress.trust[0]");
}

}  // namespace
}  // namespace microagent::workspace

#include "workspace/upkeep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "workspace/rules.h"
#include "workspace/spec.h"

namespace microagent::workspace {
namespace {

using testing::HasSubstr;

TEST(RestartPolicy, IsReadAndWritten) {
  for (const char* text : {"never", "always", "on-failure", "on-failure:1", "on-failure:1000000"}) {
    const auto policy = parse_restart(text);
    ASSERT_TRUE(policy) << text;
    EXPECT_EQ(to_string(*policy), text);
  }
  for (const char* text : {"", "Always", "on-failure:", "on-failure:0", "on-failure:-1", "on-failure:1000001",
                           "on-failure:x", "always:3", "unless-stopped"}) {
    const auto policy = parse_restart(text);
    ASSERT_FALSE(policy) << text;
    EXPECT_THAT(policy.error().remediation, HasSubstr("on-failure:MAX"));
  }
}

TEST(Duration, HasAUnit) {
  EXPECT_EQ(parse_duration("90").value(), 90U);
  EXPECT_EQ(parse_duration("90s").value(), 90U);
  EXPECT_EQ(parse_duration("15m").value(), 900U);
  EXPECT_EQ(parse_duration("2h").value(), 7200U);
  EXPECT_EQ(parse_duration("7d").value(), 604800U);
  EXPECT_EQ(parse_duration("3650d").value(), kMaxDuration);
  for (const char* text : {"", "s", "0", "0s", "-1s", "1.5h", "1 h", "1w", "3651d", "315360001", "99999999999999d"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  EXPECT_EQ(parse_start_period("0s").value(), 0U);
}

TEST(Health, IsAskedInOneWay) {
  const auto command = parse_spec("name: web\nhealth:\n  exec: 'true'\n  interval: 1m\n  startPeriod: 10s\n", "a.yaml");
  ASSERT_TRUE(command) << command.error().message;
  const auto upkeep = resolve(command->upkeep);
  ASSERT_TRUE(upkeep) << upkeep.error().message;
  EXPECT_EQ(upkeep->health->command, "true");
  EXPECT_EQ(upkeep->health->interval, 60U);
  EXPECT_EQ(upkeep->health->start_period, 10U);
  EXPECT_EQ(upkeep->health->timeout, 5U);

  for (const char* health : {"exec: 'true'\n  httpGet: /", "interval: 1m", "httpGet: /", "exec: ''"}) {
    const auto spec = parse_spec(std::string("name: web\nhealth:\n  ") + health + "\n", "a.yaml");
    ASSERT_TRUE(spec) << health;
    const auto refused = resolve(spec->upkeep);
    ASSERT_FALSE(refused) << health;
    EXPECT_THAT(refused.error().message, HasSubstr("a.yaml:")) << health;
    EXPECT_NE(refused.error().remediation, "") << health;
  }
}

TEST(Health, OfAFlagTakesThePlaceOfTheSpecS) {
  DeclaredUpkeep flags, spec;
  flags.command = Declared<std::string>{"true", "--health-cmd"};
  spec.http_port = Declared<std::uint32_t>{80, "a.yaml:3"};
  spec.interval = Declared<std::uint32_t>{7, "a.yaml:4"};
  const auto upkeep = resolve(unite(flags, spec));
  ASSERT_TRUE(upkeep) << upkeep.error().message;
  EXPECT_EQ(upkeep->health->command, "true");
  EXPECT_EQ(upkeep->health->interval, 7U);
}

class UpkeepRules : public testing::Test {
 protected:
  UpkeepRules() { manifest_.name = "web"; }
  std::string violated() const { return find_violation(manifest_).value_or(Violation{}).key; }
  Manifest manifest_;
};

TEST_F(UpkeepRules, APageNeedsAPublishedPort) {
  manifest_.upkeep.health = Health{.http_path = "/", .http_port = 80};
  EXPECT_EQ(violated(), "health.port");
  manifest_.network.forwards.push_back({Transport::udp, "127.0.0.1", 0, 80});
  EXPECT_EQ(violated(), "health.port");
  manifest_.network.forwards.push_back({Transport::tcp, "127.0.0.1", 0, 80});
  EXPECT_EQ(violated(), "");
  for (const char* path : {"", "x", "/a b", "/\r\nHost: other"}) {
    manifest_.upkeep.health->http_path = path;
    EXPECT_EQ(violated(), "health.httpGet") << path;
  }
}

TEST_F(UpkeepRules, NumbersHaveBounds) {
  manifest_.upkeep.health = Health{.command = "true"};
  EXPECT_EQ(violated(), "");
  manifest_.upkeep.health->start_period = kMaxHealthSeconds + 1;
  EXPECT_EQ(violated(), "health.startPeriod");
  manifest_.upkeep.health = Health{.command = "true", .interval = 0};
  EXPECT_EQ(violated(), "health.interval");
  manifest_.upkeep.health = Health{.command = "true", .timeout = kMaxHealthSeconds + 1};
  EXPECT_EQ(violated(), "health.timeout");
  manifest_.upkeep.health = Health{.command = "true", .retries = 0};
  EXPECT_EQ(violated(), "health.retries");
  manifest_.upkeep.health = Health{.command = std::string(kMaxHealthCommand + 1, 'x')};
  EXPECT_EQ(violated(), "health.exec");
  manifest_.upkeep.health.reset();
  manifest_.upkeep.ttl = kMaxDuration + 1;
  EXPECT_EQ(violated(), "ttl");
}

TEST(UpkeepManifest, ComesBackFromItsFile) {
  Manifest manifest;
  manifest.name = "web";
  manifest.created_at = "2026-01-01T00:00:00Z";
  manifest.network.forwards.push_back({Transport::tcp, "127.0.0.1", 0, 80});
  manifest.upkeep = {{Restart::Policy::on_failure, 3}, 60, Health{.http_path = "/x", .http_port = 80, .retries = 9}};
  const auto back = manifest_from_json(to_json(manifest), "workspace.json");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_json(*back), to_json(manifest));
  EXPECT_EQ(back->upkeep.restart, manifest.upkeep.restart);
  EXPECT_EQ(back->upkeep.ttl, 60U);
  EXPECT_EQ(back->upkeep.health->retries, 9U);

  auto older = to_json(manifest);
  for (const char* key : {"restart", "ttlSeconds", "health"}) older.erase(key);
  const auto plain = manifest_from_json(older, "workspace.json");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->upkeep.restart, Restart{});
  EXPECT_FALSE(plain->upkeep.health);
}

}  // namespace
}  // namespace microagent::workspace

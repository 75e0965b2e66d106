#include "workspace/changes.h"

#include <gtest/gtest.h>

namespace microagent::workspace {
namespace {

Manifest web() {
  Manifest manifest;
  manifest.name = "web";
  manifest.created_at = "2026-01-01T00:00:00Z";
  manifest.network.forwards = {{Transport::tcp, "127.0.0.1", 8080, 80}};
  manifest.entrypoint = "httpd -f";
  return manifest;
}

TEST(Changes, AreNoneBetweenEquals) {
  Manifest later = web();
  later.created_at = "2026-02-02T00:00:00Z";
  EXPECT_TRUE(find_changes(web(), later).empty());
}

TEST(Changes, OfPortsAndPolicyAreLive) {
  Manifest after = web();
  after.network.forwards.clear();
  after.egress.lock_allowlist = true;
  EXPECT_EQ(find_changes(web(), after),
            (std::vector<Change>{{"egress", Effect::live}, {"network.portForwards", Effect::live}}));
}

TEST(Changes, OfTheGuestNeedARestart) {
  Manifest after = web();
  after.env = {"A=1"};
  after.entrypoint.clear();
  after.resources.cpus = 2;
  after.network.ip = "10.0.0.2/24";
  after.network.gateway = "10.0.0.1";
  after.mediation = Mediation{2048, "127.0.0.1:9900", true, true};
  after.egress.trust = {"/etc/ca.pem"};
  std::vector<std::string> keys;
  for (const Change& change : find_changes(web(), after)) {
    EXPECT_EQ(change.effect, Effect::restart) << change.key;
    keys.push_back(change.key);
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"egress.trust", "entrypoint", "env", "mediation", "network.gateway",
                                            "network.ip", "resources.cpus"}));
}

TEST(Changes, HaveAWordForTheirEffect) {
  EXPECT_EQ(to_string(Effect::live), "live");
  EXPECT_EQ(to_string(Effect::restart), "restart");
  EXPECT_EQ(to_string(Effect::never), "never");
}

}  // namespace
}  // namespace microagent::workspace

#include "supervisor/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace microagent::supervisor {
namespace {

using Ipv4 = std::array<std::uint8_t, 4>;

workspace::Manifest manifest() {
  workspace::Manifest web;
  web.name = "web";
  web.env = {"A=b"};
  web.entrypoint = "httpd -f";
  web.egress.allow.emplace_back().destination = "127.0.0.1:8000";
  return web;
}

workspace::Image image() {
  return {.reference = "x",
          .digest = "sha256:y",
          .entrypoint = {"/entry"},
          .command = {"one"},
          .env = {"A=1"},
          .user = "web",
          .workdir = "/srv",
          .stop_signal = 3};
}

TEST(WireConfig, TellsAddressesOfAUserWorkspace) {
  const auto wire = wire_config(manifest(), false);
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->guest_ip, (Ipv4{192, 168, 64, 2}));
  EXPECT_EQ(wire->gateway_ip, (Ipv4{192, 168, 64, 1}));
  EXPECT_EQ(wire->prefix_length, 24);
  EXPECT_EQ(wire->dns_count, 1);
  EXPECT_EQ(wire->dns[0], (Ipv4{192, 168, 64, 1}));
  EXPECT_EQ(wire->guest_cid, kGuestCid);
}

TEST(WireConfig, IsDualStackWhereTheHostIs) {
  const auto wire = wire_config(manifest(), true);
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->has_ipv6, 1);
  EXPECT_EQ(wire->prefix_length6, 64);
  EXPECT_EQ(wire->guest_ip6[0], 0xfd);  // unique local
  EXPECT_TRUE(std::equal(wire->guest_ip6.begin(), wire->guest_ip6.begin() + 8, wire->gateway_ip6.begin()));
  EXPECT_NE(wire->guest_ip6, wire->gateway_ip6);
  EXPECT_EQ(wire_config(manifest(), false)->has_ipv6, 0);
  const auto guest = guest_config(manifest(), true);
  ASSERT_TRUE(guest.network);
  EXPECT_EQ(guest.network->ip6, std::string(kGuestIp6) + "/64");
  EXPECT_EQ(guest.network->gateway6, kGatewayIp6);
  EXPECT_EQ(guest_config(manifest(), false).network->ip6, "");
}

TEST(WireConfig, TellsNoneOfAnIsolatedOne) {
  workspace::Manifest isolated = manifest();
  isolated.network.mode = workspace::NetworkMode::isolated;
  const auto wire = wire_config(isolated, true);
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->guest_ip, Ipv4{});
  EXPECT_EQ(wire->has_ipv6, 0);
  EXPECT_EQ(wire->guest_cid, kGuestCid);
}

TEST(WireConfig, SpellsTheGuestsMacInBothWays) {
  const auto wire = wire_config(manifest(), false);
  std::string text;
  for (const std::uint8_t byte : wire->guest_mac) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    if (!text.empty()) text += ':';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  EXPECT_EQ(text, kGuestMac);
}

TEST(MediatorConfig, TellsDeclaredResolversOnly) {
  const auto json = nlohmann::json::parse(mediator_config(manifest(), "/state/egress.jsonl", {}));
  EXPECT_EQ(json.at("workspace"), "web");
  EXPECT_EQ(json.at("mode"), "user");
  EXPECT_EQ(json.at("auditFile"), "/state/egress.jsonl");
  EXPECT_EQ(json.at("egress"), workspace::to_json(manifest().egress));
  EXPECT_EQ(json.at("network").at("gateway"), "192.168.64.1");
  EXPECT_TRUE(json.at("network").at("dns").is_array());
  EXPECT_TRUE(json.at("network").at("dns").empty());
}

TEST(MediatorConfig, HasNoNetworkWhenIsolated) {
  workspace::Manifest isolated = manifest();
  isolated.network.mode = workspace::NetworkMode::isolated;
  EXPECT_FALSE(nlohmann::json::parse(mediator_config(isolated, "/state/egress.jsonl", {})).contains("network"));
}

TEST(GuestConfig, HoldsWhatInitNeeds) {
  const auto config = guest_config(manifest(), false);
  EXPECT_EQ(config.hostname, "web");
  EXPECT_EQ(config.entrypoint, "httpd -f");
  ASSERT_TRUE(config.network);
  EXPECT_EQ(config.network->mac, kGuestMac);
  EXPECT_EQ(config.network->ip, "192.168.64.2/24");
  workspace::Manifest isolated = manifest();
  isolated.network.mode = workspace::NetworkMode::isolated;
  EXPECT_FALSE(guest_config(isolated, true).network);
}

TEST(GuestConfig, RunsWhatTheImageSays) {
  workspace::Manifest of_image = manifest();
  of_image.entrypoint.clear();
  of_image.image = image();
  using Words = std::vector<std::string>;
  auto config = guest_config(of_image, false);
  EXPECT_EQ(config.command, (Words{"/entry", "one"}));
  EXPECT_EQ(config.image_env, Words{"A=1"});
  EXPECT_EQ(config.user, "web");
  EXPECT_EQ(config.workdir, "/srv");
  EXPECT_EQ(config.stop_signal, 3U);
  EXPECT_TRUE(config.root_disk);
  of_image.command = {"two", "three"};
  EXPECT_EQ(guest_config(of_image, false).command, (Words{"/entry", "two", "three"}));
  of_image.command.clear();
  of_image.init = "/sbin/init";
  config = guest_config(of_image, false);
  EXPECT_EQ(config.init, "/sbin/init");
  EXPECT_TRUE(config.command.empty());
}

TEST(ForACopy, BootsTheDisksAlone) {
  workspace::Manifest whole = manifest();
  whole.image = image();
  whole.volumes = {{"data", "/data"}};
  whole.resources = {.memory_mib = 64 * 1024, .cpus = 8, .disk_mib = 4096};
  whole.init = "/sbin/init";
  whole.upkeep.ttl = 1;
  whole.egress.trust = {"/gone.pem"};
  const workspace::Manifest bare = for_a_copy(whole);
  EXPECT_EQ(disks(bare, "/w", "/s").size(), disks(whole, "/w", "/s").size());
  const auto config = guest_config(bare, true);
  EXPECT_TRUE(config.root_disk);
  EXPECT_EQ(config.volumes, std::vector<std::string>{"/data"});
  EXPECT_FALSE(config.network);
  EXPECT_TRUE(config.command.empty() && config.entrypoint.empty() && config.init.empty() && config.env.empty());
  EXPECT_TRUE(config.user.empty() && config.workdir.empty() && config.image_env.empty());
  EXPECT_LE(bare.resources.memory_mib, 512U);
  EXPECT_EQ(bare.upkeep.ttl, 0U);
  EXPECT_TRUE(bare.swaps.empty() && bare.egress.trust.empty() && !bare.mediation);
}

TEST(Disks, AreTheRootAndTheVolumes) {
  workspace::Manifest declared = manifest();
  EXPECT_TRUE(disks(declared, "/state/workspaces/web", "/state").empty());
  declared.image.emplace();
  declared.volumes = {{"data", "/data"}, {"more", "/more"}};
  const auto found = disks(declared, "/state/workspaces/web", "/state");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].serial, "root");
  EXPECT_EQ(found[0].file, "/state/workspaces/web/disk.qcow2");
  EXPECT_EQ(found[0].format, "qcow2");
  EXPECT_EQ(found[2].serial, "volume1");
  EXPECT_EQ(found[2].file, "/state/volumes/more.ext4");
  EXPECT_EQ(found[2].format, "raw");
}

TEST(KernelArguments, TellAnEmulatedProcessorItsClock) {
  EXPECT_NE(kernel_arguments(vm::Accelerator::tcg, 2'596'136).find(" tsc=reliable tsc_early_khz=2596136"),
            std::string::npos);
  EXPECT_EQ(kernel_arguments(vm::Accelerator::kvm, 2'596'136).find("tsc"), std::string::npos);
}

TEST(MediatorConfig, TellsTheChannel) {
  workspace::Manifest declared;
  const auto channel = [&](const char* target) {
    declared.mediation = workspace::Mediation{2048, target, true, true};
    return nlohmann::json::parse(mediator_config(declared, "/x", {}))["mediation"].dump();
  };
  EXPECT_EQ(channel("[::1]:9900"), R"({"host":"::1","port":2048,"tcpPort":9900,"text":"[::1]:9900"})");
  EXPECT_EQ(channel("unix:/a"), R"({"path":"/a","port":2048,"text":"unix:/a"})");
  declared.mediation.reset();
  EXPECT_FALSE(nlohmann::json::parse(mediator_config(declared, "/x", {})).contains("mediation"));
}

TEST(MediatorConfig, TellsTheSwaps) {
  workspace::Manifest swapping = manifest();
  swapping.swaps.push_back({"a", "--cred-swap a", {{"type", "static"}, {"key_ref", "env:A"}}, {}});
  EXPECT_EQ(nlohmann::json::parse(mediator_config(swapping, "/x", {}))["swaps"], workspace::to_json(swapping.swaps));
  EXPECT_FALSE(nlohmann::json::parse(mediator_config(manifest(), "/x", {})).contains("swaps"));
}

TEST(MediatorConfig, HoldsWhatTheFilesOfTrustDo) {
  workspace::Manifest trusting = manifest();
  trusting.egress.trust = {"/a.pem"};
  const auto json = nlohmann::json::parse(mediator_config(trusting, "/x", {"the text of a"}));
  EXPECT_EQ(json["trust"], nlohmann::json({"the text of a"}));
  EXPECT_FALSE(json["egress"].contains("trust")) << "policies know nothing of it";
  EXPECT_FALSE(nlohmann::json::parse(mediator_config(manifest(), "/x", {})).contains("trust"));
}

}  // namespace
}  // namespace microagent::supervisor

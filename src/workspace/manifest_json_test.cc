#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "workspace/forward.h"
#include "workspace/manifest.h"

namespace microagent::workspace {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Manifest rich() {
  Manifest manifest;
  manifest.name = "web";
  manifest.created_at = "2026-06-27T09:00:00Z";
  manifest.network.forwards = {parse_publish("[::1]:0:53/udp")->front()};
  manifest.network.ip = "10.0.0.2/24";
  manifest.network.gateway = "10.0.0.1";
  manifest.network.dns = {"1.1.1.1"};
  manifest.network.routes = {"0.0.0.0/0 via 10.0.0.1"};
  manifest.env = {"A=1"};
  manifest.entrypoint = "true";
  manifest.egress.allow.emplace_back().destination = "10.0.0.9";
  return manifest;
}

std::string refusal(const Json& json) {
  const auto manifest = manifest_from_json(json, "FILE");
  if (manifest) return "accepted";
  EXPECT_EQ(manifest.error().kind, ErrorKind::permanent);
  EXPECT_THAT(manifest.error().message, HasSubstr("FILE: "));
  return manifest.error().message;
}

TEST(ManifestJson, ComesBackAsItWas) {
  const Json json = to_json(rich());
  const auto manifest = manifest_from_json(json, "FILE");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(to_json(*manifest), json);
  EXPECT_EQ(manifest->network.forwards, rich().network.forwards);
}

TEST(ManifestJson, KeepsTheMediationChannel) {
  Manifest manifest = rich();
  manifest.mediation = Mediation{2048, "unix:/run/plane.sock", false, true};
  const Json json = to_json(manifest);
  const auto read = manifest_from_json(json, "FILE");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(to_json(*read), json);
  EXPECT_EQ(read->mediation->target, "unix:/run/plane.sock");
}

TEST(ManifestJson, KeepsSwapsAndIsSilentWhereThereAreNone) {
  EXPECT_FALSE(to_json(rich()).contains("swaps"));
  Manifest manifest = rich();
  manifest.swaps.push_back({"a", "--cred-swap a", Json{{"type", "static"}}, {{"type", "here"}}});
  Json json = to_json(manifest);
  const auto read = manifest_from_json(json, "FILE");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->swaps, manifest.swaps);
  json["swaps"][0]["secret"] = "x";
  EXPECT_THAT(refusal(json), HasSubstr("\"swaps[0].secret\" is unknown"));
}

TEST(ManifestJson, KeepsImageDiskAndVolumes) {
  Manifest manifest = rich();
  manifest.entrypoint.clear();
  manifest.image = Image{.reference = "docker.io/library/x:1",
                         .digest = "sha256:" + std::string(64, 'a'),
                         .entrypoint = {"/entry"},
                         .command = {"", "b"},
                         .env = {"A=secret"},
                         .user = "web",
                         .workdir = "/srv",
                         .stop_signal = 37};
  manifest.command = {"ls", "-l"};
  manifest.resources.disk_mib = 2048;
  manifest.volumes = {{"data", "/data"}};
  manifest.bundles = {{"/work/app.tar", "/srv"}};
  const Json json = to_json(manifest);
  const auto read = manifest_from_json(json, "FILE");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(to_json(*read), json);
  EXPECT_EQ(read->image, manifest.image);
  EXPECT_EQ(read->volumes, manifest.volumes);
  EXPECT_EQ(read->bundles, manifest.bundles);
  EXPECT_EQ(image_record(*read->image).dump().find("secret"), std::string::npos);

  Json bad = json;
  bad["image"]["digest"] = "sha256:../../x";
  EXPECT_THAT(refusal(bad), HasSubstr("image.digest"));
  bad = json;
  bad["image"]["stopSignal"] = 65;
  EXPECT_THAT(refusal(bad), HasSubstr("image.stopSignal"));
  bad = json;
  bad["volumes"][0].erase("path");
  EXPECT_THAT(refusal(bad), HasSubstr("volumes[].path"));
  bad = json;
  bad["bundles"] = "/work/app.tar";
  EXPECT_THAT(refusal(bad), HasSubstr("has bundles that are no list"));
}

TEST(ManifestJson, MissesEveryKey) {
  const Json whole = to_json(rich());
  for (const auto& [key, value] : whole.items()) {
    Json json = whole;
    json.erase(key);
    EXPECT_THAT(refusal(json), HasSubstr("\"" + key + "\" is missing"));
  }
}

TEST(ManifestJson, RefusesEveryWrongType) {
  const Json whole = to_json(rich());
  for (const auto& [key, value] : whole.items()) {
    Json json = whole;
    json[key] = true;
    EXPECT_THAT(refusal(json), HasSubstr("\"" + key)) << key;
  }
}

TEST(ManifestJson, RefusesForeignContent) {
  Json json = to_json(rich());
  json["colour"] = "red";
  EXPECT_THAT(refusal(json), HasSubstr("\"colour\" is unknown"));
  json = to_json(rich());
  json["network"]["vlan"] = 1;
  EXPECT_THAT(refusal(json), HasSubstr("\"network.vlan\" is unknown"));
  json = to_json(rich());
  json["version"] = 2;
  EXPECT_THAT(refusal(json), HasSubstr("\"version\" is not the one"));
  json = to_json(rich());
  json["network"]["mode"] = "nat";
  EXPECT_THAT(refusal(json), HasSubstr("\"network.mode\" is neither"));
  json = to_json(rich());
  json["network"]["portForwards"][0]["hostPort"] = 65536;
  EXPECT_THAT(refusal(json), HasSubstr("\"network.portForwards[0].hostPort\" is out of bounds"));
  json = to_json(rich());
  json["resources"]["cpus"] = -1;
  EXPECT_THAT(refusal(json), HasSubstr("\"resources.cpus\" is out of bounds"));
  json = to_json(rich());
  json["env"] = {1};
  EXPECT_THAT(refusal(json), HasSubstr("\"env\" holds something that is not a string"));
  EXPECT_THAT(refusal(Json::array()), HasSubstr("is not an object"));
}

TEST(NetworkRecord, LeavesEmptyPartsOut) {
  EXPECT_EQ(network_record(Network{}).dump(), R"({"mode":"user"})");
  EXPECT_EQ(network_record(rich().network),
            Json::parse(R"({"mode":"user","ip":"10.0.0.2/24","gateway":"10.0.0.1","dns":["1.1.1.1"],
                            "routes":["0.0.0.0/0 via 10.0.0.1"],
                            "portForwards":[{"protocol":"udp","host":"::1","hostPort":0,"guestPort":53}]})"));
}

}  // namespace
}  // namespace microagent::workspace

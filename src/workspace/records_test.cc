#include "workspace/records.h"

#include <gtest/gtest.h>

#include "workspace/forward.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

Manifest web() {
  Manifest manifest;
  manifest.name = "web";
  manifest.created_at = "2026-06-27T09:00:00Z";
  manifest.network.forwards = {parse_publish("0:80")->front()};
  manifest.env = {"TOKEN=hunter2"};
  return manifest;
}

Runtime running() {
  Runtime runtime;
  runtime.state = State::running;
  runtime.observed_at = "2026-06-27T09:01:00Z";
  runtime.network = effective(Network{});
  runtime.forwards = {parse_publish("40001:80")->front()};
  runtime.readiness["guestReady"] = {true, "2026-06-27T09:01:00Z", {}, {}};
  return runtime;
}

TEST(Records, NetworkHasBothSidesBesideEachOther) {
  const Json record = network_command_record(web(), running());
  EXPECT_EQ(record["workspace"], "web");
  EXPECT_EQ(record["state"], "running");
  EXPECT_EQ(record["backend"], "linux-kvm");
  EXPECT_EQ(record["network"]["portForwards"][0]["hostPort"], 0);
  EXPECT_EQ(record["runtime"]["portForwards"][0]["hostPort"], 40001);
  EXPECT_EQ(record["runtime"]["ip"], "192.168.64.2/24");
  EXPECT_EQ(record["runtime"]["mode"], "user");
}

TEST(Records, StatusNestsTheRuntimeNetwork) {
  const Json record = status_record(web(), running());
  EXPECT_EQ(record["network"]["runtime"]["gateway"], "192.168.64.1");
  EXPECT_EQ(record["networkMode"], "user");
  EXPECT_EQ(record["event"]["state"], "running");
  EXPECT_EQ(record["event"]["observedAt"], "2026-06-27T09:01:00Z");
  EXPECT_EQ(record["event"]["identity"]["runtimeID"], "web");
}

TEST(Records, EverySignalIsThere) {
  const Json readiness = status_record(web(), running())["readiness"];
  EXPECT_EQ(readiness.size(), 6U);
  EXPECT_EQ(readiness["guestReady"], Json({{"ready", true}, {"observedAt", "2026-06-27T09:01:00Z"}}));
  EXPECT_EQ(readiness["mediationReady"], Json({{"ready", false}}));
}

TEST(Records, WhatIsNotKnownIsLeftOut) {
  const Json record = status_record(web(), Runtime{});
  for (const char* key : {"acceleration", "exitCode", "supervisorPid", "pids", "entrypoint"}) {
    EXPECT_FALSE(record.contains(key)) << key;
  }
  EXPECT_FALSE(record["network"].contains("runtime"));
  EXPECT_FALSE(network_command_record(web(), Runtime{}).contains("runtime"));
  EXPECT_EQ(record["event"]["observedAt"], "2026-06-27T09:00:00Z");
}

TEST(Records, AnIsolatedWorkspaceRunsWithItsModeAlone) {
  Manifest manifest = web();
  manifest.network = {};
  manifest.network.mode = NetworkMode::isolated;
  Runtime runtime;
  runtime.state = State::running;
  EXPECT_EQ(network_command_record(manifest, runtime)["runtime"], Json({{"mode", "isolated"}}));
}

TEST(Records, ListHasTheNetworkAsAnObject) {
  const Json record = list_record(web(), running());
  EXPECT_EQ(record["name"], "web");
  EXPECT_TRUE(record["network"].is_object());
  EXPECT_EQ(record["networkMode"], "user");
}

TEST(Records, ValuesOfVariablesAreNotShown) {
  for (const Json& record : {create_record(web()), status_record(web(), running()), list_record(web(), running())}) {
    EXPECT_EQ(record.dump().find("hunter2"), std::string::npos);
  }
  EXPECT_EQ(create_record(web())["envNames"], Json({"TOKEN"}));
}

}  // namespace
}  // namespace microagent::workspace

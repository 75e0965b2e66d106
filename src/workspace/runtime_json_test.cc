#include "workspace/runtime_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/forward.h"

namespace microagent::workspace {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Runtime rich() {
  Runtime runtime;
  runtime.state = State::running;
  runtime.detail = "detail";
  runtime.observed_at = "2026-06-27T09:00:00Z";
  runtime.exit_code = 3;
  runtime.supervisor_pid = 17;
  runtime.pids = {{"qemu", 18}, {"netd", 19}};
  runtime.acceleration = "tcg";
  runtime.acceleration_reason = "no vmx";
  runtime.readiness["guestReady"] = {true, "2026-06-27T09:00:00Z", "d", ""};
  runtime.network = effective(Network{});
  runtime.forwards = {parse_publish("8080:80")->front()};
  runtime.boot = {{"QEMU and its devices", 1500}, {"guest: kernel", 0}};
  return runtime;
}

TEST(RuntimeJson, ComesBackAsItWas) {
  for (const Runtime& runtime : {rich(), Runtime{}}) {
    const Json json = to_json(runtime);
    const auto read = runtime_from_json(json, "FILE");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(to_json(*read), json);
  }
}

TEST(RuntimeJson, RefusesEveryWrongType) {
  const Json whole = to_json(rich());
  for (const auto& [key, value] : whole.items()) {
    Json json = whole;
    json[key] = true;
    const auto read = runtime_from_json(json, "FILE");
    ASSERT_FALSE(read) << key;
    EXPECT_THAT(read.error().message, HasSubstr("FILE: \"" + key));
  }
}

TEST(RuntimeJson, RefusesForeignContent) {
  Json json = to_json(rich());
  json["extra"] = 1;
  EXPECT_THAT(runtime_from_json(json, "FILE").error().message, HasSubstr("\"extra\" is unknown"));
  json = to_json(rich());
  json["state"] = "asleep";
  EXPECT_THAT(runtime_from_json(json, "FILE").error().message, HasSubstr("\"state\" is not a state"));
  json = to_json(rich());
  json["pids"]["qemu"] = "18";
  EXPECT_THAT(runtime_from_json(json, "FILE").error().message, HasSubstr("\"pids.qemu\""));
  json = to_json(rich());
  json["readiness"]["guestReady"] = false;
  EXPECT_THAT(runtime_from_json(json, "FILE").error().message, HasSubstr("\"readiness.guestReady.\""));
}

TEST(States, HaveWords) {
  for (const State state : {State::prepared, State::starting, State::running, State::stopping, State::stopped,
                            State::halted, State::quarantined, State::failed}) {
    EXPECT_EQ(state_from_string(to_string(state)), state);
  }
  EXPECT_FALSE(state_from_string("paused"));
}

TEST(EventJson, ComesBackAsItWas) {
  const Event event{State::failed, "netd was killed", "2026-06-27T09:00:00Z"};
  const auto read = event_from_json(to_json(event), "FILE:1");
  ASSERT_TRUE(read);
  EXPECT_EQ(to_json(*read), to_json(event));
  EXPECT_FALSE(event_from_json(Json::parse(R"({"state":"failed"})"), "FILE:1"));
}

}  // namespace
}  // namespace microagent::workspace

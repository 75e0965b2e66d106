#include "supervisor/mediator_link.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace microagent::supervisor {
namespace {

bool apply(const char* message, GuestFacts& facts) {
  return apply_control_message(nlohmann::json::parse(message), facts);
}

TEST(ApplyControlMessage, TakesTheGuestsNetwork) {
  GuestFacts facts;
  ASSERT_TRUE(apply(R"({"type":"guest_ready","network":{"ip":"10.0.0.2/24","subnet":"10.0.0.0/24","gateway":"10.0.0.1",
                       "dns":["10.0.0.1"],"routes":["0.0.0.0/0 via 10.0.0.1"]}})",
                    facts));
  EXPECT_TRUE(facts.ready);
  ASSERT_TRUE(facts.network);
  EXPECT_EQ(facts.network->ip, "10.0.0.2/24");
  EXPECT_EQ(facts.network->routes, std::vector<std::string>{"0.0.0.0/0 via 10.0.0.1"});
}

TEST(ApplyControlMessage, TakesTheStagesOfTheBoot) {
  GuestFacts facts;
  ASSERT_TRUE(apply(R"({"type":"guest_ready","stages":[{"name":"kernel","microseconds":4000000000},7,{"name":"x"},
                       {"name":"disks","microseconds":-1},{"name":"trust","microseconds":0}]})",
                    facts));
  EXPECT_EQ(facts.stages, (std::vector<workspace::BootStage>{{"kernel", 4000000000}, {"trust", 0}}));
}

TEST(ApplyControlMessage, TakesAnIsolatedGuest) {
  GuestFacts facts;
  ASSERT_TRUE(apply(R"({"type":"guest_ready"})", facts));
  EXPECT_TRUE(facts.ready);
  EXPECT_FALSE(facts.network);
}

TEST(ApplyControlMessage, TakesAnExitCodeAsAShellWould) {
  GuestFacts facts;
  ASSERT_TRUE(apply(R"({"type":"workload_exited","code":3,"signal":0})", facts));
  EXPECT_EQ(facts.exit_code, 3);
  ASSERT_TRUE(apply(R"({"type":"workload_exited","code":0,"signal":9})", facts));
  EXPECT_EQ(facts.exit_code, 137);
}

TEST(ApplyControlMessage, TakesFailureAndMediation) {
  GuestFacts facts;
  ASSERT_TRUE(apply(R"({"type":"guest_failed","error":"no device"})", facts));
  EXPECT_EQ(facts.failure, "no device");
  ASSERT_TRUE(apply(R"({"type":"mediation","ready":false,"error":"refused"})", facts));
  ASSERT_TRUE(facts.mediation);
  EXPECT_FALSE(facts.mediation->ready);
  EXPECT_EQ(facts.mediation->error, "refused");
  EXPECT_FALSE(facts.trust);
  ASSERT_TRUE(apply(R"({"type":"trust","ready":true,"error":""})", facts));
  EXPECT_TRUE(facts.trust->ready);
  EXPECT_FALSE(facts.mediation->ready);
  ASSERT_TRUE(apply(R"({"type":"trust","ready":false,"error":"no room"})", facts));
  EXPECT_FALSE(facts.trust->ready);
  EXPECT_EQ(facts.trust->error, "no room");
}

TEST(ApplyControlMessage, TakesTheResult) {
  GuestFacts facts;
  ASSERT_TRUE(apply(R"({"type":"result_ready","bytes":12,"error":""})", facts));
  EXPECT_EQ(facts.result_bytes, 12U);
  ASSERT_TRUE(apply(R"({"type":"result_ready","bytes":0,"error":"too large"})", facts));
  EXPECT_EQ(facts.result_bytes, 12U) << "what is kept stays kept";
  EXPECT_EQ(facts.result_error, "too large");
  ASSERT_TRUE(apply(R"({"type":"result_ready","bytes":-1,"error":""})", facts));
  EXPECT_EQ(facts.result_bytes, 12U);
}

TEST(ApplyControlMessage, StandsOddTypesAndRefusesUnknownOnes) {
  GuestFacts facts;
  EXPECT_FALSE(apply(R"({"type":"other"})", facts));
  EXPECT_FALSE(apply(R"({"type":7})", facts));
  EXPECT_FALSE(apply(R"({})", facts));
  EXPECT_TRUE(apply(R"({"type":"guest_ready","network":7})", facts));
  EXPECT_TRUE(apply(R"({"type":"guest_ready","network":{"ip":7,"dns":"x","routes":[1]}})", facts));
  EXPECT_TRUE(apply(R"({"type":"workload_exited","code":"x"})", facts));
}

}  // namespace
}  // namespace microagent::supervisor

#include "supervisor/control_protocol.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace microagent::supervisor {
namespace {

using Command = ControlRequest::Command;

TEST(ControlRequest, GoesRoundTrip) {
  const auto stop = parse_control_request(encode_control_request({Command::stop, std::chrono::seconds(7)}));
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->command, Command::stop);
  EXPECT_EQ(stop->timeout, std::chrono::seconds(7));
  for (const Command command : {Command::kill, Command::exec, Command::wait, Command::end, Command::policy,
                                Command::ports, Command::usage, Command::pending, Command::quarantine}) {
    const auto request = parse_control_request(encode_control_request({command, {}}));
    ASSERT_TRUE(request);
    EXPECT_EQ(request->command, command);
  }
}

TEST(ControlRequest, CarriesQuestionsThatChangeNothing) {
  ControlRequest ask{.command = Command::ask};
  ask.question = R"({"ask":"explain","host":"a.example","port":443})";
  const auto request = parse_control_request(encode_control_request(ask));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->command, Command::ask);
  EXPECT_EQ(request->question, ask.question);
}

TEST(ControlRequest, CarriesWhatIsFoundAboutHealth) {
  ControlRequest health{.command = Command::health};
  health.healthy = true;
  health.finding = std::string(2 * kMaxFinding, 'x');
  const auto request = parse_control_request(encode_control_request(health));
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->healthy);
  EXPECT_EQ(request->finding, std::string(kMaxFinding, 'x'));
}

TEST(ControlRequest, HasADefaultTimeout) {
  EXPECT_EQ(parse_control_request(R"({"command":"stop"})")->timeout, kDefaultStopTimeout);
}

TEST(ControlRequest, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "stop", "[]", "{}", R"({"command":1})", R"({"command":"dance"})",
        R"({"command":"stop","timeoutSeconds":-1})", R"({"command":"stop","timeoutSeconds":1.5})",
        R"({"command":"stop","timeoutSeconds":3601})", R"({"command":"ask"})",
        R"({"command":"ask","question":"status"})", R"({"command":"ask","question":{"ask":"quarantine"}})",
        R"({"command":"ask","question":{"ask":"policy"}})", R"({"command":"kill","question":{"ask":"status"}})",
        R"({"command":"health"})", R"({"command":"health","healthy":1,"finding":""})",
        R"({"command":"health","healthy":true})", R"({"command":"stop","timeoutSeconds":"9"})",
        R"({"command":"kill","timeoutSeconds":1})"}) {
    const auto request = parse_control_request(bad);
    ASSERT_FALSE(request) << bad;
    EXPECT_EQ(request.error().kind, ErrorKind::usage) << bad;
  }
}

TEST(ControlRequest, RefusesEveryPrefix) {
  const std::string whole = encode_control_request({Command::stop, std::chrono::seconds(7)});
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
    EXPECT_FALSE(parse_control_request(whole.substr(0, size))) << size;
  }
}

TEST(ControlReply, GoesRoundTrip) {
  EXPECT_TRUE(parse_control_reply(encode_control_reply({}))->is_null());
  const nlohmann::json result = {{"version", 2}};
  EXPECT_EQ(*parse_control_reply(encode_control_result(result)), result);
  const Status outcome = fail(ErrorKind::conflict, "not running", "start it");
  const auto refused = parse_control_reply(encode_control_reply(outcome));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_EQ(refused.error().message, "not running");
  EXPECT_EQ(refused.error().remediation, "start it");
}

TEST(ControlReply, IsAnErrorWhenItIsNone) {
  for (const char* bad : {"", "ok", "[true]", "{}", R"({"ok":1})", R"({"ok":false,"error":7})"}) {
    EXPECT_FALSE(parse_control_reply(bad)) << bad;
  }
}

}  // namespace
}  // namespace microagent::supervisor

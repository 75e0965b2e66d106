// The commands that need no running workspace, as a user types them.

#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "workspace/state.h"

namespace microagent::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;
using testing::internal::CaptureStderr;
using testing::internal::CaptureStdout;
using testing::internal::GetCapturedStderr;
using testing::internal::GetCapturedStdout;

struct Outcome {
  int code = 0;
  std::string out, err;
  Json json() const { return Json::parse(out); }
};

class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() {
    std::string name = (fs::temp_directory_path() / "cli.XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    ::setenv("MICROAGENT_HOME", (directory_ / "state").c_str(), 1);
  }
  ~CommandLineTest() override { fs::remove_all(directory_); }

  static Outcome run(std::vector<std::string> words) {
    CaptureStdout();
    CaptureStderr();
    const int code = run_command_line(std::move(words));
    return {code, GetCapturedStdout(), GetCapturedStderr()};
  }

  fs::path workspaces() const { return directory_ / "state" / "workspaces"; }
  std::string spec(std::string_view text) const {
    std::ofstream(directory_ / "microagent.yaml") << text;
    return (directory_ / "microagent.yaml").string();
  }

  fs::path directory_;
};

TEST_F(CommandLineTest, LeadsAWorkspaceFromCreateToDelete) {
  EXPECT_EQ(run({"create", "web", "-p", "8080:80"}).code, 0);
  EXPECT_THAT(run({"status", "web"}).out, HasSubstr("127.0.0.1:8080:80/tcp"));
  EXPECT_THAT(run({"list"}).out, HasSubstr("web   prepared  user     127.0.0.1:8080:80/tcp\n"));
  EXPECT_THAT(run({"events", "web"}).out, HasSubstr("prepared"));
  EXPECT_EQ(run({"logs", "web"}).out, "");
  EXPECT_EQ(run({"delete", "web"}).out, "web is deleted\n");
  EXPECT_EQ(run({"list"}).out, "no workspaces\n");
}

TEST_F(CommandLineTest, RecordsHaveTheNetwork) {
  const Json created = run({"--json", "create", "web", "--publish", "8080:80", "--dns", "1.1.1.1"}).json();
  const Json network = Json::parse(R"({"mode":"user","dns":["1.1.1.1"],"portForwards":
      [{"protocol":"tcp","host":"127.0.0.1","hostPort":8080,"guestPort":80}]})");
  EXPECT_EQ(created["ok"], true);
  EXPECT_EQ(created["state"], "prepared");
  EXPECT_EQ(created["network"], network);
  EXPECT_EQ(run({"status", "web", "--json"}).json()["network"], network);
  EXPECT_EQ(run({"network", "--output", "json", "web"}).json()["network"], network);
  const Json row = run({"list", "--output=json"}).json()["workspaces"][0];
  EXPECT_EQ(row["network"], network);
  EXPECT_EQ(row["networkMode"], "user");
}

TEST_F(CommandLineTest, OptionsStandAnywhere) {
  const std::string other = (directory_ / "other").string();
  EXPECT_EQ(run({"create", "--memory", "256", "a", "--json", "--state-dir", other}).json()["resources"]["memoryMiB"],
            256);
  EXPECT_EQ(run({"--state-dir", other, "--output", "json", "list"}).json()["workspaces"].size(), 1U);
  EXPECT_FALSE(fs::exists(workspaces()));
}

TEST_F(CommandLineTest, AFlagTakesOneValueAndNoMore) {
  EXPECT_EQ(run({"create", "-e", "A=1", "web", "-e", "B=[1,2]", "-p", "1:1", "-p", "2:2"}).code, 0);
  const Json record = run({"--json", "status", "web"}).json();
  EXPECT_EQ(record["envNames"], Json({"A", "B"}));
  EXPECT_EQ(record["network"]["portForwards"].size(), 2U);
}

TEST_F(CommandLineTest, AMediationChannelIsOnRecord) {
  const Json channel =
      Json::parse(R"({"enabled":true,"required":true,"port":2048,"target":"127.0.0.1:9900","failClosed":true})");
  EXPECT_EQ(run({"--json", "create", "web", "--mediation", "2048=127.0.0.1:9900"}).json()["mediation"], channel);
  EXPECT_EQ(run({"--json", "status", "web"}).json()["mediation"], channel);
  EXPECT_THAT(run({"status", "web"}).out, HasSubstr("2048=127.0.0.1:9900, required"));
  const Json optional =
      run({"--json", "create", "b", "--network", "isolated", "--mediation", "1=unix:/x", "--mediation-optional"})
          .json();
  EXPECT_EQ(optional["mediation"]["required"], false);
  EXPECT_EQ(optional["mediation"]["failClosed"], false);
  const Outcome ours = run({"create", "c", "--mediation", "1020=127.0.0.1:9900"});
  EXPECT_EQ(ours.code, 2);
  EXPECT_THAT(ours.err, HasSubstr("--mediation 1020=127.0.0.1:9900: vsock ports 1020 to 1029"));
  EXPECT_THAT(run({"create", "c", "--mediation-optional"}).err, HasSubstr("there is no mediation channel"));
  EXPECT_FALSE(fs::exists(workspaces() / "c"));
}

TEST_F(CommandLineTest, WaitsForNothingWhereNothingRuns) {
  EXPECT_EQ(run({"create", "web"}).code, 0);
  const Outcome waited = run({"--json", "wait", "web"});
  EXPECT_EQ(waited.code, 0);
  EXPECT_EQ(waited.json()["state"], "prepared");
  EXPECT_EQ(run({"wait", "web"}).out, "web is prepared\n");
  EXPECT_EQ(run({"wait", "nobody"}).code, 1);
}

TEST_F(CommandLineTest, AResultIsWhatIsKept) {
  EXPECT_EQ(run({"create", "web"}).code, 0);
  const Outcome none = run({"result", "web"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("has left no result; hint: a guest leaves it in /run/microagent/result"));
  std::ofstream(workspaces() / "web" / "result") << "[1]\n";
  EXPECT_EQ(run({"result", "web"}).out, "[1]\n");
  const Json record = run({"--json", "result", "web"}).json();
  EXPECT_EQ(record["result"], Json({1}));
  EXPECT_EQ(record["resultPath"], (workspaces() / "web" / "result").string());
}

TEST_F(CommandLineTest, CopiesNeedARunningWorkspaceAndTwoSides) {
  EXPECT_EQ(run({"create", "web"}).code, 0);
  EXPECT_EQ(run({"cp", "a", "b"}).code, 2);
  EXPECT_EQ(run({"cp", "web:/a", "web:/b"}).code, 2);
  EXPECT_THAT(run({"cp", "web:/a", "."}).err, HasSubstr("is not running"));
  EXPECT_THAT(run({"cp", (directory_ / "nothing").string(), "web:/"}).err, HasSubstr("nothing"));
  EXPECT_THAT(run({"--json", "cp", "web:/a", "-"}).out, HasSubstr("cannot both be standard output"));
}

TEST_F(CommandLineTest, ATerminalIsForPeople) {
  EXPECT_EQ(run({"create", "web"}).code, 0);
  EXPECT_THAT(run({"--json", "exec", "-t", "web", "--", "sh"}).out, HasSubstr("a terminal's output is no record"));
  EXPECT_THAT(run({"exec", "-it", "-n", "web", "--", "sh"}).err, HasSubstr("--no-stdin"));
  EXPECT_EQ(run({"exec", "--timeout", "0", "web", "--", "sh"}).code, 2);
}

TEST_F(CommandLineTest, NamesMayBeCommands) {
  EXPECT_EQ(run({"create", "start"}).code, 0);
  EXPECT_EQ(run({"delete", "--", "start"}).code, 0);
}

TEST_F(CommandLineTest, ASpecIsReadAndFlagsWin) {
  const std::string file = spec("name: research\nresources: {memory: 256}\nnetwork: {dns: [1.1.1.1]}\n");
  const Json record = run({"--json", "create", "--file", file, "--memory", "1G", "--dns", "8.8.8.8"}).json();
  EXPECT_EQ(record["workspace"], "research");
  EXPECT_EQ(record["resources"]["memoryMiB"], 1024);
  EXPECT_EQ(record["network"]["dns"], Json({"1.1.1.1", "8.8.8.8"}));
  EXPECT_EQ(run({"--json", "create", "other", "--file", file}).json()["workspace"], "other");
}

TEST_F(CommandLineTest, ABadSpecSaysFileAndLine) {
  const Outcome outcome = run({"create", "--file", spec("name: a\nports: 1\n")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("microagent.yaml:2: ports: unknown key; hint: the keys known here are: "));
}

TEST_F(CommandLineTest, ADryRunWritesNothing) {
  const Outcome outcome = run({"--json", "create", "web", "--dry-run"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.json()["dryRun"], true);
  EXPECT_EQ(outcome.json()["effectiveNetwork"]["ip"], "192.168.64.2/24");
  EXPECT_THAT(run({"create", "web", "--dry-run"}).out, HasSubstr("nothing has been written"));
  EXPECT_FALSE(fs::exists(directory_ / "state"));
}

TEST_F(CommandLineTest, BadWordsAreRefusedBeforeAnythingIsWritten) {
  const std::vector<std::vector<std::string>> lines = {{"create"},
                                                       {"create", "a/b"},
                                                       {"create", std::string(300, 'a')},
                                                       {"create", "list"},
                                                       {"create", "a", "--name", "b"},
                                                       {"create", "a", "b"},
                                                       {"create", "a", "--bogus"},
                                                       {"create", "a", "--network", "nat"},
                                                       {"create", "a", "--network"},
                                                       {"create", "a", "-p", "80"},
                                                       {"create", "a", "-p", "80:0"},
                                                       {"create", "a", "-p", "1:1", "-p", "0.0.0.0:1:2"},
                                                       {"create", "a", "--network", "isolated", "-p", "1:1"},
                                                       {"create", "a", "--ip", "10.0.0.2/24"},
                                                       {"create", "a", "--ip", "10.0.0.2/24", "--gateway", ""},
                                                       {"create", "a", "--dns", "x"},
                                                       {"create", "a", "--route", "x"},
                                                       {"create", "a", "--memory", "lots"},
                                                       {"create", "a", "--cpus", "0"},
                                                       {"create", "a", "--env", "A"},
                                                       {"create", "a", "--egress-allow", "https://example.com"},
                                                       {"create", "a", "--ip", "1", "--ip", "2"},
                                                       {"--output", "xml", "list"},
                                                       {"list", "--state-dir", ""},
                                                       {"bogus"},
                                                       {"--bogus"},
                                                       {},
                                                       {"start", "a", "--timeout", "0"},
                                                       {"start"},
                                                       {"exec", "a"},
                                                       {"exec", "a", "ls"},
                                                       {"stats", "a", "--interval", "5"}};
  for (const auto& line : lines) {
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(line);
    EXPECT_FALSE(fs::exists(directory_ / "state")) << testing::PrintToString(line);
  }
}

TEST_F(CommandLineTest, AnErrorIsOneLineWithAHint) {
  const Outcome outcome = run({"create", "a", "--publish", "80:0"});
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "microagent: --publish 80:0: guest port \"0\": 0 is not a port; hint: write "
            "[HOST:]HOSTPORT:GUESTPORT[/tcp|/udp], "
            "such as 127.0.0.1:8080:80/tcp\n");
}

TEST_F(CommandLineTest, AnErrorForProgramsIsAnObjectEvenForWordsThatMakeNoSense) {
  for (const auto& line : std::vector<std::vector<std::string>>{
           {"--json", "bogus"}, {"create", "a", "--bogus", "--output", "json"}, {"status", "nosuch", "--json"}}) {
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.json()["ok"], false);
    EXPECT_TRUE(outcome.json()["error"]["message"].is_string());
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(CommandLineTest, WhatIsNotThereIsNotFound) {
  for (const char* command : {"start", "stop", "halt", "kill", "status", "network", "events", "logs"}) {
    const Outcome outcome = run({"--json", command, "nosuch"});
    EXPECT_EQ(outcome.code, 1) << command;
    EXPECT_EQ(outcome.json()["error"]["kind"], "not_found") << command;
  }
  EXPECT_EQ(run({"--json", "exec", "nosuch", "--", "ls"}).json()["error"]["kind"], "not_found");
}

TEST_F(CommandLineTest, DeletingWhatIsNotThereIsDone) {
  const Outcome outcome = run({"--json", "delete", "nosuch"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.json()["deleted"], false);
}

TEST_F(CommandLineTest, WhatDoesNotRunCannotBeStoppedOrEntered) {
  run({"create", "web"});
  for (const char* command : {"stop", "kill"}) {
    EXPECT_EQ(run({"--json", command, "web"}).json()["error"]["kind"], "conflict") << command;
  }
  EXPECT_EQ(run({"--json", "exec", "web", "--", "ls"}).json()["error"]["kind"], "conflict");
}

TEST_F(CommandLineTest, ALockedWorkspaceIsNotDeleted) {
  run({"create", "web"});
  const auto store = workspace::Store::open(directory_ / "state");
  const auto lock = store->try_lock("web");
  const Outcome outcome = run({"--json", "delete", "web"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.json()["error"]["kind"], "conflict");
  EXPECT_THAT(outcome.json()["error"]["remediation"].get<std::string>(), HasSubstr("delete --force web"));
  EXPECT_TRUE(store->exists("web"));
}

TEST_F(CommandLineTest, AMalformedRecordIsNamedAndDoesNotHideOthers) {
  run({"create", "bad"});
  run({"create", "good"});
  std::ofstream(workspaces() / "bad" / "workspace.json") << "{";
  const Outcome status = run({"status", "bad"});
  EXPECT_EQ(status.code, 1);
  EXPECT_THAT(status.err, HasSubstr("bad/workspace.json: is not whole JSON"));
  const Json rows = run({"--json", "list"}).json()["workspaces"];
  EXPECT_EQ(rows[0]["state"], "unknown");
  EXPECT_EQ(rows[0]["error"]["kind"], "permanent");
  EXPECT_EQ(rows[1]["state"], "prepared");
  EXPECT_EQ(run({"delete", "bad"}).code, 0);
}

TEST_F(CommandLineTest, AnEditedRecordIsCheckedAgainAtStart) {
  run({"create", "web", "--memory", "256"});
  const fs::path path = workspaces() / "web" / "workspace.json";
  Json record = Json::parse(std::ifstream(path));
  record["resources"]["memoryMiB"] = 1;
  std::ofstream(path) << record;
  const Outcome outcome = run({"start", "web"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("web/workspace.json: resources.memory: 1 MiB is out of bounds"));
}

TEST_F(CommandLineTest, NothingStandsBehindTheMarkOfOthers) {
  EXPECT_EQ(run({"delete", "exec", "--", "x"}).code, 2);
  EXPECT_EQ(run({"delete", "a", "--", "x"}).code, 2);
}

TEST_F(CommandLineTest, EveryCommandHasHelp) {
  for (const char* command : {"create", "start", "stop", "halt", "kill", "delete", "status", "list", "ls", "network",
                              "logs", "events", "exec", "doctor"}) {
    const Outcome outcome = run({command, "--help"});
    EXPECT_EQ(outcome.code, 0) << command;
    EXPECT_THAT(outcome.out, HasSubstr("Usage: microagent ")) << command;
  }
  EXPECT_THAT(run({"--version"}).out, StartsWith("microagent "));
}

}  // namespace
}  // namespace microagent::cli

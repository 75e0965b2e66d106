#include "cli/output.h"

#include <gtest/gtest.h>

#include "cli/table.h"

namespace microagent::cli {
namespace {

using Json = nlohmann::json;
using testing::internal::CaptureStderr;
using testing::internal::CaptureStdout;
using testing::internal::GetCapturedStderr;
using testing::internal::GetCapturedStdout;

TEST(Output, ARecordIsOneObject) {
  CaptureStdout();
  ASSERT_TRUE(Output(Format::json).record({{"name", "\xff"}}));
  const Json record = Json::parse(GetCapturedStdout());
  EXPECT_EQ(record["ok"], true);
  EXPECT_EQ(record["name"], "\xef\xbf\xbd");
}

TEST(Output, AnErrorForProgramsIsOneObjectOnStandardOutput) {
  CaptureStdout();
  CaptureStderr();
  Output(Format::json).error({ErrorKind::transient, "busy", "wait"});
  EXPECT_EQ(GetCapturedStderr(), "");
  EXPECT_EQ(Json::parse(GetCapturedStdout()),
            Json::parse(
                R"({"ok":false,"error":{"kind":"transient","message":"busy","remediation":"wait","retryable":true}})"));
}

TEST(Output, AnErrorForProgramsHasARemedyAlways) {
  for (const ErrorKind kind :
       {ErrorKind::usage, ErrorKind::permanent, ErrorKind::transient, ErrorKind::conflict, ErrorKind::not_found,
        ErrorKind::resource_exhausted, ErrorKind::unsupported, ErrorKind::policy_denied}) {
    CaptureStdout();
    Output(Format::json).error({kind, "it is so", ""});
    EXPECT_NE(Json::parse(GetCapturedStdout())["error"]["remediation"], "") << to_string(kind);
  }
}

TEST(Output, AnErrorForPeopleIsOneLineOnStandardError) {
  CaptureStdout();
  CaptureStderr();
  Output(Format::text).error({ErrorKind::permanent, "two\nlines", "act"});
  EXPECT_EQ(GetCapturedStdout(), "");
  EXPECT_EQ(GetCapturedStderr(), "microagent: two\\x0alines; hint: act\n");
}

TEST(Output, ErrorsHaveTheirExitCodes) {
  EXPECT_EQ(exit_code({ErrorKind::usage, "", ""}), 2);
  EXPECT_EQ(exit_code({ErrorKind::transient, "", ""}), 75);
  for (const ErrorKind kind : {ErrorKind::permanent, ErrorKind::conflict, ErrorKind::not_found,
                               ErrorKind::resource_exhausted, ErrorKind::unsupported, ErrorKind::policy_denied}) {
    EXPECT_EQ(exit_code({kind, "", ""}), 1);
  }
}

TEST(Output, ATerminalIsSentNoControls) {
  EXPECT_EQ(printable("plain ä"), "plain ä");
  EXPECT_EQ(printable("\033[31m\x7f\r"), "\\x1b[31m\\x7f\\x0d");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\x9b31m");
  EXPECT_EQ(printable("\xc2"), "\xc2");
}

TEST(Table, AlignsColumnsAndLeavesNoBlanksAtTheEnd) {
  Table table({"NAME", "STATE", "DETAIL"});
  table.add({"web", Cell("running", Colour::green), ""});
  table.add({"ä-long-name", "failed", "why"});
  EXPECT_EQ(table.render(Output(Format::json)),
            "NAME         STATE    DETAIL\n"
            "web          running\n"
            "ä-long-name  failed   why\n");
}

}  // namespace
}  // namespace microagent::cli

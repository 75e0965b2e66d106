#include "cli/manual_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

CommandWords stop() {
  CommandWords command;
  command.path = {"stop"};
  command.summary = "Shut a workspace down";
  command.notes = "First.\n'Second' line.\n\n.third\n\nExamples:\n  microagent stop web\n  a\\b\nEnd.";
  command.options = {{{"-t", "--timeout"}, "SECONDS", {}, "until it is killed"},
                     {{"--how"}, "WAY", {"fast", "slow"}, "x"}};
  command.operands = {"NAME"};
  command.operand_help = {"the workspace"};
  return command;
}

TEST(ManualPage, HasAHeadAndItsSections) {
  const std::string page = manual_page(stop(), "1.2.3", "2026-01-02");
  EXPECT_THAT(page, StartsWith(".TH MICROAGENT-STOP 1 2026-01-02 \"microagent 1.2.3\" \"microagent manual\"\n.SH NAME\n"
                               "microagent\\-stop \\- Shut a workspace down\n"));
  EXPECT_THAT(page, HasSubstr(".SH SYNOPSIS\n\\fBmicroagent stop\\fR [\\fIOPTIONS\\fR] \\fINAME\\fR\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fB\\-t\\fR, \\fB\\-\\-timeout\\fR \\fISECONDS\\fR\nUntil it is killed.\n"));
  EXPECT_THAT(page, HasSubstr("\\fIWAY\\fR\nX: fast or slow.\n"));
  EXPECT_THAT(page, HasSubstr(".SH SEE ALSO\n\\fBmicroagent\\fR(1)\n"));
}

TEST(ManualPage, LetsNothingOfTheTextBeARequest) {
  const std::string page = manual_page(stop(), "1", "2026-01-02");
  EXPECT_THAT(page,
              HasSubstr(".SH DESCRIPTION\nFirst.\n\\&'Second' line.\n.PP\n\\&.third\n.PP\nExamples:\n.PP\n.RS\n.EX\n"
                        "microagent stop web\na\\eb\n.EE\n.RE\nEnd.\n"));
}

}  // namespace
}  // namespace microagent::cli

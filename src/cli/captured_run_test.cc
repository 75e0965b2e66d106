#include "cli/captured_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(CapturedRun, GivesBothStreams) {
  EXPECT_EQ(*run_captured("/bin/sh", {"-c", "echo a; echo b >&2"}, 10s), "a\nb\n");
}

TEST(CapturedRun, TellsHowAProgramFailed) {
  EXPECT_THAT(run_captured("/bin/sh", {"-c", "echo first; echo why; exit 3"}, 10s).error().message,
              HasSubstr("/bin/sh does not run: why"));
  EXPECT_EQ(run_captured("/nonexistent", {}, 10s).error().kind, ErrorKind::not_found);
}

TEST(CapturedRun, EndsAtItsDeadline) {
  EXPECT_THAT(run_captured("/bin/sh", {"-c", "exec sleep 60"}, 50ms).error().message, HasSubstr("gives no answer"));
}

TEST(CapturedRun, KeepsABoundedPart) {
  EXPECT_EQ(run_captured("/bin/sh", {"-c", "head -c 3000000 /dev/zero"}, 60s)->size(), 1024U * 1024U);
}

}  // namespace
}  // namespace microagent::cli

#include "image/tool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::image {
namespace {

using testing::HasSubstr;

TEST(Tool, GivesOutputOrTheLastComplaint) {
  EXPECT_EQ(*run_tool("sh", {"-c", "echo out; echo err >&2"}), "out\n");
  EXPECT_EQ(run_tool("sh", {"-c", "echo first >&2; echo last >&2; exit 3"}).error().message, "sh: last");
  EXPECT_THAT(run_tool("sh", {"-c", "exit 3"}).error().message, HasSubstr("no reason"));
  EXPECT_THAT(run_tool("sh", {"-c", "kill -9 $$"}).error().message, HasSubstr("signal 9"));
  // Neither stream stands in the other's way.
  EXPECT_EQ(run_tool("sh", {"-c", "yes | head -c 300000 >&2; yes | head -c 300000"})->size(), 300'000U);
}

TEST(Tool, NamesThePackageOfWhatIsMissing) {
  const auto found = find_tool("microagent-no-such-tool");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::not_found);
  EXPECT_THAT(found.error().remediation, HasSubstr("apt-get install"));
}

}  // namespace
}  // namespace microagent::image

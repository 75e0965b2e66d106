#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/state.h"

namespace microagent::workspace {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Name, AcceptsHostNameLabels) {
  for (const auto& name : {std::string("a"), std::string("web"), std::string("0"), std::string("a-b-1"),
                           std::string("start"), std::string(63, 'x')}) {
    EXPECT_TRUE(check_name(name)) << name;
  }
}

TEST(Name, RefusesWhatIsNone) {
  for (const auto& name : {std::string(), std::string("-a"), std::string("A"), std::string("a/b"), std::string(".."),
                           std::string("a.b"), std::string("a b"), std::string("a_b"), std::string("ä"),
                           std::string("a\0b", 3), std::string(64, 'x'), std::string(300, 'x')}) {
    const Status status = check_name(name);
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().kind, ErrorKind::usage);
    EXPECT_FALSE(status.error().remediation.empty());
  }
}

TEST(Name, RefusesReservedWords) {
  for (const auto* name :
       {"allow", "deny", "passthrough", "remove", "explain", "learn", "list", "publish", "unpublish"}) {
    EXPECT_FALSE(check_name(name)) << name;
  }
}

TEST(Name, IsShownShortAndPrintable) {
  const std::string message = check_name("\033[31m" + std::string(300, 'x')).error().message;
  EXPECT_LT(message.size(), 120U);
  EXPECT_THAT(message, Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace microagent::workspace

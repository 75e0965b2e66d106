#include "cli/copy_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::cli {
namespace {

using testing::HasSubstr;

std::string text(std::string_view path) {
  const CopyPath parsed = parse_copy_path(path);
  if (const auto* guest = std::get_if<GuestPath>(&parsed)) return "guest " + guest->workspace + " " + guest->path;
  return "host " + std::get<HostPath>(parsed).path;
}

TEST(CopyPath, IsAGuestsWithAName) {
  EXPECT_EQ(text("web:/srv/data"), "guest web /srv/data");
  EXPECT_EQ(text("web:srv"), "guest web /srv");
  EXPECT_EQ(text("web:"), "guest web /");
  EXPECT_EQ(text("web:/a:b"), "guest web /a:b");
  EXPECT_EQ(text("./web:/a"), "host ./web:/a");
  EXPECT_EQ(text("/web:/a"), "host /web:/a");
  EXPECT_EQ(text("Web:/a"), "host Web:/a") << "no workspace can be called so";
  EXPECT_EQ(text(":/a"), "host :/a");
  EXPECT_EQ(text("data"), "host data");
  EXPECT_EQ(text("-"), "host -");
}

TEST(CopyPath, OneEndIsAGuests) {
  const auto put = plan_copy("data", "web:/srv");
  ASSERT_TRUE(put);
  EXPECT_TRUE(put->to_guest);
  EXPECT_EQ(put->guest.path, "/srv");
  EXPECT_EQ(put->host.path, "data");
  const auto get = plan_copy("web:/srv", "-");
  ASSERT_TRUE(get);
  EXPECT_FALSE(get->to_guest);
  EXPECT_TRUE(get->host.is_stream());
  EXPECT_THAT(plan_copy("web:/a", "other:/b").error().remediation, HasSubstr("microagent cp ONE:/path -"));
  EXPECT_THAT(plan_copy("a", "b").error().message, HasSubstr("neither end"));
  EXPECT_THAT(plan_copy("", "web:/").error().message, HasSubstr("empty"));
}

}  // namespace
}  // namespace microagent::cli

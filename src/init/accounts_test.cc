#include "init/accounts.h"

#include <gtest/gtest.h>

namespace microagent::init {
namespace {

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "broken line\n"
    "web:x:1001:1002:Web,,:/srv/web:/bin/false\n"
    "77:x:1003:1003::/home/77:/bin/sh\n"
    "bare:x:1004:1004:::";
constexpr const char* kGroup =
    "root:x:0:\n"
    "audio:x:29:bare,web\n"
    "web:x:1002:web\n"
    "webby:x:1500:webber\n"
    "adm:x:4:web";

using Groups = std::vector<gid_t>;

TEST(Accounts, NobodyNamedIsRoot) {
  const auto root = find_identity("", kPasswd, kGroup);
  ASSERT_TRUE(root);
  EXPECT_TRUE(root->is_root());
  EXPECT_EQ(root->home, "/root");
  // An image may have no accounts at all.
  ASSERT_TRUE(find_identity("", "", ""));
  EXPECT_TRUE(find_identity("root", "", "")->is_root());
}

TEST(Accounts, ANameHasItsGroups) {
  const auto web = find_identity("web", kPasswd, kGroup);
  ASSERT_TRUE(web);
  EXPECT_EQ(web->uid, 1001U);
  EXPECT_EQ(web->gid, 1002U);
  EXPECT_EQ(web->groups, (Groups{29, 4}));
  EXPECT_EQ(web->home, "/srv/web");
  EXPECT_EQ(web->name, "web");
}

TEST(Accounts, ANumberMayBeNobodys) {
  EXPECT_EQ(find_identity("1001", kPasswd, kGroup)->name, "web");
  const auto stranger = find_identity("4242", kPasswd, kGroup);
  ASSERT_TRUE(stranger);
  EXPECT_EQ(stranger->uid, 4242U);
  EXPECT_EQ(stranger->gid, 0U);
  EXPECT_EQ(stranger->home, "/");
}

TEST(Accounts, AGroupThatIsNamedIsTheOnlyOne) {
  const auto web = find_identity("web:audio", kPasswd, kGroup);
  ASSERT_TRUE(web);
  EXPECT_EQ(web->gid, 29U);
  EXPECT_TRUE(web->groups.empty());
  EXPECT_EQ(find_identity("1001:555", kPasswd, kGroup)->gid, 555U);
}

TEST(Accounts, AUserWithoutAHomeIsAtTheRoot) { EXPECT_EQ(find_identity("bare", kPasswd, kGroup)->home, "/"); }

TEST(Accounts, UnknownNamesAreNobody) {
  EXPECT_FALSE(find_identity("nobody-here", kPasswd, kGroup));
  EXPECT_FALSE(find_identity("web:nogroup", kPasswd, kGroup));
  EXPECT_FALSE(find_identity("4294967295", kPasswd, kGroup));
  EXPECT_FALSE(find_identity("-1", kPasswd, kGroup));
}

TEST(People, AreNoServices) {
  const auto people = find_people(
      "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/bin/false\n"
      "agent:x:1000:1001::/home/agent:/bin/sh\nhomeless:x:1002:1002::/:/bin/sh\n"
      "nobody:x:65534:65534::/nonexistent:/bin/false\n");
  ASSERT_EQ(people.size(), 2U);
  EXPECT_EQ(people[0].home, "/root");
  EXPECT_EQ(people[1].name, "agent");
  EXPECT_EQ(people[1].home, "/home/agent");
  EXPECT_EQ(people[1].uid, 1000U);
  EXPECT_EQ(people[1].gid, 1001U);
  ASSERT_EQ(find_people("").size(), 1U);
  EXPECT_EQ(find_people("")[0].home, "/root");
}

}  // namespace
}  // namespace microagent::init

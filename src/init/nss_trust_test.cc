#include "init/nss_trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "init/nss_database.h"
#include "init/sqlite_file.h"

namespace microagent::init {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// As much of a certificate as is read: version, serial number, signature, issuer, validity, subject.
std::string certificate(char serial) {
  const std::string body = std::string("\xa0\x03\x02\x01\x02\x02\x01", 7) + serial +
                           std::string("\x30\x00\x30\x02\x05\x00\x30\x00\x30\x02\x05\x00", 12);
  const std::string inner = std::string("\x30") + static_cast<char>(body.size()) + body;
  return std::string("\x30") + static_cast<char>(inner.size()) + inner;
}
const std::string kOurs = certificate(1), kNewer = certificate(2);

class NssTrust : public testing::Test {
 protected:
  NssTrust() {
    std::string pattern = testing::TempDir() + "nss-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(root_ / "home/agent");
  }
  ~NssTrust() override { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& bytes) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << bytes;
  }
  std::string get(const std::string& path) const {
    std::stringstream bytes;
    bytes << std::ifstream(root_ / path).rdbuf();
    return bytes.str();
  }
  Status install(const std::string& bytes = kOurs) { return install_nss_trust(root_.string(), people_, bytes); }

  fs::path root_;
  std::vector<Identity> people_{{::getuid(), ::getgid(), {}, "agent", "/home/agent"},
                                {::getuid(), ::getgid(), {}, "gone", "/home/gone"}};
};

const std::string kDatabase = "home/agent/.pki/nssdb/cert9.db", kKeys = "home/agent/.pki/nssdb/key4.db";
const std::string kLater = "home/agent/.local/share/pki/nssdb/cert9.db";

TEST_F(NssTrust, IsLaidWhereThereIsNone) {
  ASSERT_TRUE(install());
  EXPECT_EQ(get(kDatabase), encode_nss_database(kOurs));
  EXPECT_EQ(fs::status(root_ / kDatabase).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(root_ / "home/agent/.pki").permissions(), fs::perms::owner_all);
  EXPECT_FALSE(fs::exists(root_ / "home/gone")) << "nobody lives there";
}

TEST_F(NssTrust, KeepsTheSignaturesOfWhatItTrustsAlready) {
  ASSERT_TRUE(install());
  put(kKeys, "signatures");
  ASSERT_TRUE(install());
  EXPECT_EQ(get(kKeys), "signatures");
}

TEST_F(NssTrust, IsTheLatestWithoutTheSignaturesOfAnEarlierOne) {
  ASSERT_TRUE(install());
  put(kKeys, "signatures");
  ASSERT_TRUE(install(kNewer));
  EXPECT_EQ(get(kDatabase), encode_nss_database(kNewer));
  EXPECT_FALSE(fs::exists(root_ / kKeys));
  EXPECT_EQ(get(kKeys + ".before-microagent"), "signatures");
}

TEST_F(NssTrust, LeavesAloneWhatIsSomebodys) {
  std::string theirs = *encode_nss_database(kNewer);
  theirs[27] = 2;  // as SQLite counts a change
  put(kDatabase, theirs);
  const Status installed = install();
  ASSERT_FALSE(installed);
  EXPECT_THAT(installed.error().message, HasSubstr("certutil -d sql:"));
  EXPECT_EQ(get(kDatabase), theirs);
  ASSERT_TRUE(remove_nss_trust(root_.string(), people_));
  EXPECT_EQ(get(kDatabase), theirs);
}

TEST_F(NssTrust, MayStandAmongOthers) {
  std::string theirs = *encode_nss_database(kOurs);
  theirs[27] = 2;
  put(kDatabase, theirs);
  EXPECT_TRUE(install());
  EXPECT_EQ(get(kDatabase), theirs);
}

TEST_F(NssTrust, TakesThePlaceOfNothing) {
  const std::string empty = *encode_sqlite("nssPublic", "a0, a1", {}, 0);
  put(kLater, empty);
  ASSERT_TRUE(install());
  EXPECT_EQ(get(kLater), encode_nss_database(kOurs));
  EXPECT_FALSE(fs::exists(root_ / "home/agent/.pki")) << "a browser that finds it there looks nowhere else";
}

TEST_F(NssTrust, IsTakenAwayAgain) {
  ASSERT_TRUE(install());
  put(kKeys, "signatures");
  ASSERT_TRUE(remove_nss_trust(root_.string(), people_));
  EXPECT_FALSE(fs::exists(root_ / kDatabase));
  EXPECT_FALSE(fs::exists(root_ / kKeys)) << "they would make NSS doubt the next one";
  EXPECT_TRUE(remove_nss_trust(root_.string(), people_));
}

// Only the guest's own people could have laid that, and root must not wait for them.
TEST_F(NssTrust, IsNotHeldUpByAPipe) {
  put("home/agent/.pki/nssdb/other", "");
  const std::string pipe = (root_ / kDatabase).string();
  ASSERT_EQ(::mkfifo((pipe + ".microagent").c_str(), 0600), 0);
  ASSERT_TRUE(install());
  EXPECT_EQ(get(kDatabase), encode_nss_database(kOurs));
  ASSERT_EQ(::unlink(pipe.c_str()), 0);
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(install());
  EXPECT_TRUE(fs::is_regular_file(root_ / kDatabase));
}

TEST_F(NssTrust, LosesNoKeysHoweverOftenItComes) {
  put(kDatabase, *encode_sqlite("nssPublic", "a0, a1", {}, 0));
  put(kKeys, "the user's own");
  ASSERT_TRUE(install());
  put(kKeys, "signatures");
  ASSERT_TRUE(install(kNewer));
  EXPECT_EQ(get(kKeys + ".before-microagent"), "the user's own");
  EXPECT_EQ(get(kKeys + ".before-microagent.1"), "signatures");
}

TEST_F(NssTrust, IsMissedWhereItCannotBeLaid) {
  put("home/agent/.pki", "no directory");
  EXPECT_FALSE(install());
}

TEST_F(NssTrust, IsOfTheUserAlone) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  people_ = {{12'345, 12'345, {}, "agent", "/home/agent"}};
  fs::permissions(root_, fs::perms::all);
  fs::create_directory_symlink(root_ / "etc", root_ / "home/agent/.pki");
  fs::create_directories(root_ / "etc");
  EXPECT_TRUE(install()) << "led to where the user may not write, and will have no database";
  EXPECT_TRUE(fs::is_empty(root_ / "etc"));
  fs::remove(root_ / "home/agent/.pki");
  ASSERT_EQ(::chown((root_ / "home/agent").c_str(), 12'345, 12'345), 0);
  ASSERT_TRUE(install());
  struct stat facts {};
  ASSERT_EQ(::stat((root_ / kDatabase).c_str(), &facts), 0);
  EXPECT_EQ(facts.st_uid, 12'345U);
  EXPECT_EQ(facts.st_gid, 12'345U);
}

TEST(NssDatabase, IsOfCertificatesOnly) {
  EXPECT_FALSE(encode_nss_database(""));
  for (std::size_t size = 0; size < kOurs.size(); ++size) EXPECT_FALSE(encode_nss_database(kOurs.substr(0, size)));
  EXPECT_FALSE(encode_nss_database(kOurs + "more"));
  EXPECT_FALSE(encode_nss_database(std::string("\x30\x82\xff\xff", 4) + std::string(65'535, 'x')));
}

TEST(NssDatabase, IsKnownAgain) {
  const std::string database = *encode_nss_database(kOurs);
  EXPECT_TRUE(is_our_nss_database(database));
  EXPECT_FALSE(is_empty_sqlite(database));
  EXPECT_FALSE(is_our_nss_database(database.substr(0, database.size() - 1)));
  EXPECT_FALSE(is_our_nss_database(*encode_sqlite("nssPublic", "a0", {}, 7)));
  EXPECT_FALSE(may_replace_nss_database("")) << "nobody knows what that is";
}

TEST(SqliteFile, TakesNoMoreThanAPage) {
  const SqliteRow large{1, {{"a", std::string(4000, 'x')}}}, too_large{1, {{"a", std::string(4096, 'x')}}};
  EXPECT_TRUE(encode_sqlite("t", "a, b", {large}, 0));
  EXPECT_FALSE(encode_sqlite("t", "a, b", {too_large}, 0));
}

}  // namespace
}  // namespace microagent::init

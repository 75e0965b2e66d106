#include "init/trust_lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace microagent::init {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::string certificate(const std::string& name) {
  return "-----BEGIN CERTIFICATE-----\n" + name + "\n-----END CERTIFICATE-----\n";
}

const std::string kOurs = certificate("ours"), kNewer = certificate("newer"), kTheirs = certificate("theirs");
const std::string kRoots = certificate("one root") + certificate("another");
const std::string kList = "etc/ssl/certs/ca-certificates.crt", kBundle = "etc/microagent/egress-ca-bundle.pem";
const std::string kSource = "usr/local/share/ca-certificates/microagent-egress.crt";

class TrustLists : public testing::Test {
 protected:
  TrustLists() {
    std::string pattern = testing::TempDir() + "lists-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(root_ / "etc/microagent");
  }
  ~TrustLists() override { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::string get(const std::string& path) const {
    std::stringstream text;
    text << std::ifstream(root_ / path).rdbuf();
    return text.str();
  }
  Status install(const std::string& now = kOurs, const std::string& earlier = {}) {
    return install_lists(root_.string(), {now, earlier, kRoots});
  }

  fs::path root_;
};

TEST_F(TrustLists, LetTheBundleFollowTheGuestsOwn) {
  put(kList, kTheirs);
  ASSERT_TRUE(install());
  EXPECT_TRUE(fs::is_symlink(root_ / kBundle));
  EXPECT_EQ(get(kBundle), with_ours(kTheirs, kOurs)) << "without the host's roots";
  // As the tool of the distribution does it.
  put(kList + ".new", kTheirs + certificate("a company's") + get(kSource));
  fs::rename(root_ / (kList + ".new"), root_ / kList);
  EXPECT_THAT(get(kBundle), HasSubstr(certificate("a company's")));
  EXPECT_THAT(get(kBundle), HasSubstr(kOurs));
}

TEST_F(TrustLists, AreMadeWhereThereIsNone) {
  EXPECT_FALSE(has_own_list(root_.string()));
  ASSERT_TRUE(install());
  EXPECT_EQ(get(kList), with_ours("", kOurs, kRoots));
  EXPECT_EQ(get(kBundle), get(kList));
  EXPECT_EQ(get(kSource), kOurs) << "for a tool that comes later";
  EXPECT_FALSE(fs::exists(root_ / "etc/pki"));
  EXPECT_FALSE(has_own_list(root_.string())) << "it holds nothing of the guest's own";
  ASSERT_TRUE(install(kNewer, kOurs));
  EXPECT_EQ(get(kList), with_ours("", kNewer, kRoots));
}

// What people add to the list that we made does not make it a distribution's.
TEST_F(TrustLists, KeepTheHostsRootsBesideWhatPeopleAdd) {
  ASSERT_TRUE(install());
  put(kList, get(kList) + kTheirs);
  EXPECT_FALSE(has_own_list(root_.string()));
  ASSERT_TRUE(install());
  EXPECT_EQ(get(kList), with_ours(kTheirs, kOurs, kRoots));
}

TEST_F(TrustLists, AreMadeWhereTheDistributionsWouldBe) {
  put("usr/bin/rpm", "");
  ASSERT_TRUE(install());
  EXPECT_EQ(get("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"), get(kBundle));
  EXPECT_EQ(get("etc/pki/ca-trust/source/anchors/microagent-egress.pem"), kOurs);
  EXPECT_FALSE(fs::exists(root_ / "etc/ssl")) << "a link of the package's";
  EXPECT_FALSE(fs::exists(root_ / "etc/pki/trust"));
}

TEST_F(TrustLists, LoseTheEarlierOneThatToolsCopied) {
  put(kList, kTheirs + kOurs + kTheirs);
  EXPECT_TRUE(has_own_list(root_.string()));
  ASSERT_TRUE(install(kNewer, kOurs));
  EXPECT_EQ(get(kList), with_ours(kTheirs + kTheirs, kNewer));
  put(kList, kTheirs + kNewer);
  ASSERT_TRUE(install(kNewer, kNewer));
  EXPECT_EQ(get(kList), with_ours(kTheirs, kNewer)) << "once";
}

// The list of an earlier start, from before it was a link; and one that cannot be written.
TEST_F(TrustLists, HaveABundleOfItsOwnBesideThemWhereTheyCannotBeWritten) {
  put(kBundle, kTheirs);
  put(kList, kTheirs);
  ASSERT_TRUE(install());
  ASSERT_TRUE(fs::is_symlink(root_ / kBundle));
  put(kList, kTheirs);
  fs::create_directories(root_ / (kList + ".microagent"));  // in the way
  EXPECT_FALSE(install());
  EXPECT_FALSE(fs::is_symlink(root_ / kBundle));
  EXPECT_EQ(get(kBundle), with_ours(kTheirs, kOurs));
  EXPECT_EQ(get(kList), kTheirs);
}

TEST_F(TrustLists, SayWhereTheToolsSourceCouldNotBeWritten) {
  fs::create_directories(root_ / (kSource + ".microagent"));
  const Status installed = install();
  ASSERT_FALSE(installed);
  EXPECT_THAT(installed.error().message, HasSubstr("microagent-egress.crt"));
}

TEST_F(TrustLists, AreAsBeforeOnceItIsTakenAway) {
  put(kList, kTheirs);
  put("etc/ssl/cert.pem", "");
  ASSERT_TRUE(install());
  put(kList, get(kList) + kOurs);
  ASSERT_TRUE(remove_lists(root_.string(), kOurs));
  EXPECT_EQ(get(kList), kTheirs);
  for (const std::string& file : {kBundle, kSource, std::string("etc/ssl/cert.pem")}) {
    EXPECT_FALSE(fs::exists(fs::symlink_status(root_ / file))) << file;
  }
}

TEST(Bundle, LosesOursAndNothingElse) {
  EXPECT_EQ(without_ours(with_ours(kTheirs, kOurs)), kTheirs);
  EXPECT_EQ(without_ours(with_ours(kTheirs, kOurs) + kTheirs), kTheirs + kTheirs);
  EXPECT_EQ(with_ours("no newline", kOurs), with_ours("no newline\n", kOurs));
  EXPECT_EQ(without_ours(kTheirs), kTheirs);
  const std::string cut = with_ours(kTheirs, kOurs);
  EXPECT_EQ(without_ours(cut.substr(0, cut.size() - 3)), kTheirs) << "of a writer that was stopped";
}

}  // namespace
}  // namespace microagent::init

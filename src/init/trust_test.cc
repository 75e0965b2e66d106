#include "init/trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "init/keystore.h"
#include "init/trust_lists.h"

namespace microagent::init {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const std::string kOurs = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n";
const std::string kNewer = "-----BEGIN CERTIFICATE-----\nnewer\n-----END CERTIFICATE-----\n";
const std::string kTheirs = "-----BEGIN CERTIFICATE-----\ntheirs\n-----END CERTIFICATE-----\n";

class Trust : public testing::Test {
 protected:
  Trust() {
    std::string pattern = testing::TempDir() + "trust-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(root_ / "etc");
  }
  ~Trust() override { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::string get(const std::string& path) const {
    std::stringstream text;
    text << std::ifstream(root_ / path).rdbuf();
    return text.str();
  }
  Status install(const std::string& certificate = kOurs) {
    return install_trust(root_.string(), {certificate, "0123abcd"});
  }

  fs::path root_;
};

TEST_F(Trust, IsInstalledInAnEmptyGuest) {
  ASSERT_TRUE(install());
  EXPECT_EQ(get("etc/microagent/egress-ca.pem"), kOurs);
  EXPECT_THAT(get("etc/microagent/egress-ca-bundle.pem"), HasSubstr(kOurs));
}

TEST_F(Trust, IsAddedToWhatADebianGuestTrusts) {
  put("etc/ssl/certs/ca-certificates.crt", kTheirs);
  fs::create_directories(root_ / "usr/local/share/ca-certificates");
  ASSERT_TRUE(install());
  for (const char* list : {"etc/ssl/certs/ca-certificates.crt", "etc/microagent/egress-ca-bundle.pem"}) {
    EXPECT_THAT(get(list), HasSubstr(kOurs)) << list;
    EXPECT_TRUE(get(list).starts_with(kTheirs)) << list;
  }
  EXPECT_EQ(get("usr/local/share/ca-certificates/microagent-egress.crt"), kOurs);
  EXPECT_EQ(fs::read_symlink(root_ / "etc/ssl/certs/0123abcd.0"), "/etc/microagent/egress-ca.pem");
}

TEST_F(Trust, IsAddedToWhatARedHatGuestTrustsBehindItsLinks) {
  put("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", kTheirs);
  fs::create_directories(root_ / "etc/pki/tls/certs");
  fs::create_directories(root_ / "etc/pki/ca-trust/source/anchors");
  fs::create_symlink("../../ca-trust/extracted/pem/tls-ca-bundle.pem", root_ / "etc/pki/tls/certs/ca-bundle.crt");
  ASSERT_TRUE(install());
  EXPECT_TRUE(fs::is_symlink(root_ / "etc/pki/tls/certs/ca-bundle.crt"));
  EXPECT_EQ(get("etc/pki/tls/certs/ca-bundle.crt"), with_ours(kTheirs, kOurs));
  EXPECT_EQ(get("etc/pki/ca-trust/source/anchors/microagent-egress.pem"), kOurs);
}

TEST_F(Trust, IsThereOnceAndTheLatest) {
  put("etc/ssl/certs/ca-certificates.crt", kTheirs);
  ASSERT_TRUE(install());
  const std::string first = get("etc/ssl/certs/ca-certificates.crt");
  ASSERT_TRUE(install());
  EXPECT_EQ(get("etc/ssl/certs/ca-certificates.crt"), first);
  ASSERT_TRUE(install(kNewer));
  for (const char* list : {"etc/ssl/certs/ca-certificates.crt", "etc/microagent/egress-ca-bundle.pem"}) {
    EXPECT_EQ(get(list), with_ours(kTheirs, kNewer)) << list;
  }
  EXPECT_EQ(get("etc/microagent/egress-ca.pem"), kNewer);
  EXPECT_FALSE(fs::exists(fs::symlink_status(root_ / "etc/ssl/certs/0123abcd.1")));
}

TEST_F(Trust, LeavesTheSameHashOfOthersAlone) {
  put("etc/ssl/certs/0123abcd.0", kTheirs);
  ASSERT_TRUE(install());
  EXPECT_EQ(get("etc/ssl/certs/0123abcd.0"), kTheirs);
  EXPECT_EQ(fs::read_symlink(root_ / "etc/ssl/certs/0123abcd.1"), "/etc/microagent/egress-ca.pem");
}

// One may come later.
TEST_F(Trust, IsMadeForJavaWhetherItIsThereOrNot) {
  const std::string ours = "-----BEGIN CERTIFICATE-----\nb3Vycw==\n-----END CERTIFICATE-----\n";
  put("etc/ssl/certs/ca-certificates.crt", "-----BEGIN CERTIFICATE-----\nYmFy\n-----END CERTIFICATE-----\n");
  ASSERT_TRUE(install(ours));
  EXPECT_EQ(get("etc/microagent/egress-ca-trust.jks"), encode_keystore({"bar", "ours"}));
}

TEST_F(Trust, IsTakenAwayAgain) {
  put("etc/ssl/certs/ca-certificates.crt", kTheirs);
  put("etc/ssl/certs/0123abcd.0", kTheirs);
  fs::create_directories(root_ / "usr/local/share/ca-certificates");
  fs::create_directories(root_ / "usr/lib/jvm");
  ASSERT_TRUE(install());
  ASSERT_TRUE(remove_trust(root_.string()));
  EXPECT_EQ(get("etc/ssl/certs/ca-certificates.crt"), kTheirs);
  EXPECT_EQ(get("etc/ssl/certs/0123abcd.0"), kTheirs);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root_)) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(entry.is_directory() || name == "ca-certificates.crt" || name == "0123abcd.0") << entry.path();
  }
  EXPECT_FALSE(fs::exists(root_ / "etc/microagent"));
  EXPECT_TRUE(remove_trust(root_.string())) << "there is nothing more to do";
}

TEST_F(Trust, SaysWhatCouldNotBeDoneAndDoesTheRest) {
  put("etc/ssl/certs/ca-certificates.crt", kTheirs);
  // A directory in the place of the file that is to be written.
  fs::create_directories(root_ / "etc/microagent/egress-ca.pem/x");
  const Status installed = install();
  ASSERT_FALSE(installed);
  EXPECT_THAT(installed.error().message, HasSubstr("/etc/microagent/egress-ca.pem"));
  EXPECT_EQ(get("etc/ssl/certs/ca-certificates.crt"), with_ours(kTheirs, kOurs));
}

TEST(TrustEnvironment, IsWeakerThanTheWorkspaces) {
  const Environment environment = workspace_environment(
      {}, chosen_environment({}, trust_environment(), {"CURL_CA_BUNDLE=/mine.pem", "NODE_EXTRA_CA_CERTS="}));
  EXPECT_EQ(value_of(environment, "SSL_CERT_FILE"), "/etc/microagent/egress-ca-bundle.pem");
  EXPECT_EQ(value_of(environment, "DENO_CERT"), "/etc/microagent/egress-ca.pem");
  EXPECT_EQ(value_of(environment, "CURL_CA_BUNDLE"), "/mine.pem");
  EXPECT_EQ(value_of(environment, "NODE_EXTRA_CA_CERTS"), "");
  EXPECT_THAT(environment, Contains("HOME=/root"));
  EXPECT_THAT(environment, Not(Contains(HasSubstr("NODE_EXTRA_CA_CERTS=/"))));
}

}  // namespace
}  // namespace microagent::init

#include "init/browser_policies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace microagent::init {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kFile = "/etc/microagent/egress-ca.pem";
const std::string kCertificate = "-----BEGIN CERTIFICATE-----\nb3Vy\ncw==\n-----END CERTIFICATE-----\n";
const std::string kChromium = "etc/chromium/policies/managed/microagent-egress.json";
const std::string kFirefox = "etc/firefox/policies/policies.json";

class BrowserPolicies : public testing::Test {
 protected:
  BrowserPolicies() {
    std::string pattern = testing::TempDir() + "browser-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(root_ / "etc/microagent");
  }
  ~BrowserPolicies() override { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::string get(const std::string& path) const {
    std::stringstream text;
    text << std::ifstream(root_ / path).rdbuf();
    return text.str();
  }
  Status install() { return install_browser_policies(root_.string(), kCertificate, kFile); }

  fs::path root_;
};

TEST_F(BrowserPolicies, AreForChromiumAndItsKin) {
  ASSERT_TRUE(install());
  for (const char* directory : {"chromium", "opt/chrome", "opt/chrome_for_testing", "opt/edge"}) {
    EXPECT_EQ(get("etc/" + std::string(directory) + "/policies/managed/microagent-egress.json"),
              "{\"CACertificates\": [\"b3Vycw==\"]}\n");
  }
}

TEST_F(BrowserPolicies, AreForFirefox) {
  ASSERT_TRUE(install());
  EXPECT_EQ(get("etc/microagent/firefox-policies.json"),
            "{\"policies\": {\"Certificates\": {\"Install\": [\"/etc/microagent/egress-ca.pem\"]}}}\n");
  EXPECT_EQ(fs::read_symlink(root_ / kFirefox), "/etc/microagent/firefox-policies.json");
}

TEST_F(BrowserPolicies, AreThereOnce) {
  ASSERT_TRUE(install());
  ASSERT_TRUE(install());
  EXPECT_EQ(get(kChromium), "{\"CACertificates\": [\"b3Vycw==\"]}\n");
}

TEST_F(BrowserPolicies, LeaveOthersAlone) {
  put(kFirefox, "{\"policies\": {}}");
  put("etc/chromium/policies/managed/theirs.json", "{}");
  const Status installed = install();
  ASSERT_FALSE(installed);
  EXPECT_THAT(installed.error().message, HasSubstr(kFirefox));
  EXPECT_THAT(installed.error().message,
              HasSubstr("\"Certificates\": {\"Install\": [\"/etc/microagent/egress-ca.pem\"]}"));
  EXPECT_EQ(get(kFirefox), "{\"policies\": {}}");
  EXPECT_TRUE(fs::exists(root_ / kChromium)) << "the rest is done";
  ASSERT_TRUE(remove_browser_policies(root_.string()));
  EXPECT_EQ(get(kFirefox), "{\"policies\": {}}");
  EXPECT_EQ(get("etc/chromium/policies/managed/theirs.json"), "{}");
}

TEST_F(BrowserPolicies, MayBeOthersThatNameTheCertificate) {
  put(kFirefox, "{\"policies\": {\"Certificates\": {\"Install\": [\"/etc/microagent/egress-ca.pem\"]}}}");
  EXPECT_TRUE(install());
}

TEST_F(BrowserPolicies, DoNotHideThoseThatFirefoxBringsAlong) {
  put("usr/lib64/firefox/distribution/policies.json", "{\"policies\": {\"DisableAppUpdate\": true}}");
  const Status installed = install();
  ASSERT_FALSE(installed);
  EXPECT_THAT(installed.error().message, HasSubstr("/usr/lib64/firefox/distribution/policies.json"));
  EXPECT_FALSE(fs::exists(fs::symlink_status(root_ / kFirefox)));
}

}  // namespace
}  // namespace microagent::init

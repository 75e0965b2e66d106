#include "supervisor/trust_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tls/authority.h"

namespace microagent::supervisor {
namespace {

using testing::HasSubstr;

class TrustFile : public testing::Test {
 protected:
  ~TrustFile() override { std::filesystem::remove(file_); }

  std::string refusal(const std::string& content) {
    std::ofstream(file_) << content;
    const auto text = read_trust_file(file_);
    if (text) return "accepted";
    EXPECT_EQ(text.error().kind, ErrorKind::usage);
    EXPECT_THAT(text.error().message, HasSubstr(file_.string()));
    return text.error().message;
  }

  const std::filesystem::path file_ = testing::TempDir() + "trust-" + std::to_string(::getpid()) + ".pem";
};

TEST_F(TrustFile, IsReadAsItStands) {
  const std::string text = "# ours\n" + tls::Authority::make("ours").value().certificate_pem();
  std::ofstream(file_) << text;
  EXPECT_EQ(read_trust_file(file_).value(), text);
}

TEST_F(TrustFile, HoldsCertificatesOnly) {
  const auto authority = tls::Authority::make("ours").value();
  EXPECT_THAT(refusal(""), HasSubstr("no certificate"));
  EXPECT_THAT(refusal(authority.pem()), HasSubstr("line 1: a private key"));
  EXPECT_THAT(refusal(authority.certificate_pem().substr(0, 100)), HasSubstr("line 1: not a certificate"));
  EXPECT_NE(refusal(std::string(kMaxTrustFile + 1, 'x')), "accepted");
}

TEST_F(TrustFile, IsThere) {
  const auto missing = read_trust_file("/nowhere/ca.pem");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::usage);
  EXPECT_THAT(missing.error().message, HasSubstr("/nowhere/ca.pem"));
  EXPECT_FALSE(missing.error().remediation.empty());
}

}  // namespace
}  // namespace microagent::supervisor

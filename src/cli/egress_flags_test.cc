#include "cli/egress_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "policy/policy_json.h"

namespace microagent::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using workspace::Egress;
using workspace::EgressDeclaration;
namespace fs = std::filesystem;

class EgressFlags : public testing::Test {
 protected:
  EgressFlags() : directory_(fs::path(testing::TempDir()) / ("egress-flags-" + std::to_string(::getpid()))) {
    fs::create_directory(directory_);
  }
  ~EgressFlags() override { fs::remove_all(directory_); }

  std::string file(const char* name, const char* content) {
    std::ofstream(directory_ / name) << content;
    return (directory_ / name).string();
  }

  // What `create` would record, or the error.
  Result<Egress> settled(const EgressDeclaration& spec = {}) {
    auto flags = read_egress_flags(options_);
    if (!flags) return fail(flags.error());
    auto declared = settle_egress(options_, workspace::unite(std::move(*flags), spec));
    if (!declared) return fail(declared.error());
    workspace::Declaration declaration;
    declaration.name = {"web", "NAME"};
    declaration.egress = std::move(*declared);
    const auto manifest = workspace::resolve(declaration);
    if (!manifest) return fail(manifest.error());
    if (Status valid = check_egress(manifest->egress); !valid) return fail(valid.error());
    return manifest->egress;
  }
  std::string refusal(const EgressDeclaration& spec = {}) {
    const auto egress = settled(spec);
    if (egress) return "accepted";
    EXPECT_EQ(egress.error().kind, ErrorKind::usage);
    EXPECT_FALSE(egress.error().remediation.empty()) << egress.error().message;
    return egress.error().message;
  }

  fs::path directory_;
  EgressOptions options_;
};

TEST_F(EgressFlags, SettleTheModesWord) {
  EXPECT_EQ(settled()->mode, "broker");
  const std::tuple<const char*, const char*, bool> words[] = {
      {"broker", "broker", false}, {"mitm", "mitm", false}, {"off", "off", false},     {"guarded", "mitm", false},
      {"strict", "mitm", true},    {"open", "off", false},  {"disabled", "off", false}};
  for (const auto& [word, mode, lock] : words) {
    options_.mode = word;
    EXPECT_EQ(settled()->mode, mode) << word;
    EXPECT_EQ(settled()->lock_allowlist, lock) << word;
  }
  options_.mode = "strcit";
  EXPECT_EQ(refusal(), "--egress: \"strcit\" is not an egress mode");
}

TEST_F(EgressFlags, WinOverTheSpecAndBothOverThePolicyFile) {
  options_.policy_file = file("p.yaml", "mode: strict\nallow: [c.com]\nmaxConnections: 1\nmaxTotalBytes: 1\n");
  options_.allow = {"a.com"};
  options_.max_total_bytes = "3";
  EgressDeclaration spec;
  spec.mode = {"mitm", "s:1: egress.mode"};
  spec.max_connections = {2, "s:2"};
  spec.max_total_bytes = {2, "s:3"};
  spec.allow.emplace_back().destination = "b.com";
  const auto egress = settled(spec);
  ASSERT_TRUE(egress) << egress.error().message;
  EXPECT_EQ(egress->mode, "mitm");
  EXPECT_FALSE(egress->lock_allowlist);  // it was part of the word that lost
  EXPECT_EQ(egress->max_connections, 2U);
  EXPECT_EQ(egress->max_total_bytes, 3U);
  std::vector<std::string> allowed;
  for (const auto& rule : egress->allow) allowed.push_back(rule.destination);
  EXPECT_THAT(allowed, testing::ElementsAre("c.com", "b.com", "a.com"));
  EXPECT_THAT(egress->allow[0].place, testing::EndsWith("p.yaml:2: allow[0]"));
  EXPECT_EQ(egress->allow[2].place, "--egress-allow");
}

TEST_F(EgressFlags, SplitLists) {
  options_.allow = {"a.com,.b.com:443", "10.0.0.0/8"};
  options_.deny = {"c.com"};
  options_.passthrough = {"*.d.com"};
  const auto egress = settled();
  ASSERT_TRUE(egress);
  ASSERT_EQ(egress->allow.size(), 3U);
  EXPECT_EQ(egress->allow[1].destination, ".b.com:443");
  EXPECT_EQ(egress->deny[0].place, "--egress-deny");
  EXPECT_EQ(egress->passthrough[0].place, "--egress-passthrough");
  for (const char* value : {"", "a.com,", ",a.com", "a.com,,b.com"}) {
    options_.allow = {value};
    EXPECT_EQ(refusal(), "--egress-allow: egress rule \"\": is empty") << value;
  }
}

TEST_F(EgressFlags, NameThePlaceOfABadRule) {
  EgressDeclaration spec;
  spec.deny.emplace_back();
  spec.deny[0].destination = "https://a.com";
  spec.deny[0].place = "microagent.yaml:7: egress.deny[0]";
  EXPECT_EQ(refusal(spec), "microagent.yaml:7: egress.deny[0]: egress rule \"https://a.com\": is a URL");
  options_.policy_file = file("p.yaml", "allow:\n  - 127.1\n");
  EXPECT_THAT(refusal(), HasSubstr("p.yaml:2: allow[0]: egress rule \"127.1\": "));
  options_.policy_file = file("p.yaml", "allowed: []\n");
  EXPECT_THAT(refusal(), StartsWith("--egress-policy: "));
}

TEST_F(EgressFlags, RefuseContradictions) {
  options_.mode = "off";
  options_.allow = {"10.0.0.1"};
  EXPECT_TRUE(settled());
  options_.deny = {"a.com"};
  EXPECT_THAT(refusal(), HasSubstr("mode off denies nothing"));
  options_.deny.clear();
  options_.lock_allowlist = true;
  EXPECT_THAT(refusal(), HasSubstr("mode off locks nothing"));
  options_.lock_allowlist.reset();
  options_.policy_file = file("p.yaml", "allow: []\n");
  EXPECT_THAT(refusal(), HasSubstr("mode off (--egress) has no policy"));
  options_.policy_file.reset();
  options_.mode = "strict";
  options_.lock_allowlist = false;
  EXPECT_THAT(refusal(), HasSubstr("--egress: mode strict locks the allowlist, but --egress-lock-allowlist says not"));
}

TEST_F(EgressFlags, ReadCaps) {
  options_.max_total_bytes = "50GiB";
  options_.max_bytes_per_second = "1MiB";
  options_.max_connections = "256";
  const auto egress = settled();
  EXPECT_EQ(egress->max_total_bytes, std::uint64_t{50} << 30);
  EXPECT_EQ(egress->max_bytes_per_second, 1U << 20);
  EXPECT_EQ(egress->max_connections, 256U);
  options_.max_connections = "-1";
  EXPECT_THAT(refusal(), StartsWith("--egress-max-conns: "));
  options_.max_total_bytes = "lots";
  EXPECT_THAT(refusal(), StartsWith("--egress-max-total-bytes: "));
}

TEST_F(EgressFlags, WarnOfModeOff) {
  EXPECT_EQ(egress_warning(*settled()), "");
  options_.mode = "open";
  EXPECT_THAT(egress_warning(*settled()), HasSubstr("mode off"));
}

// The manifest and the mediator speak of one layout: what one writes, the other reads, and the same.
TEST(EgressJson, IsTheSameInManifestAndPolicy) {
  Egress egress;
  egress.mode = "mitm";
  egress.lock_allowlist = egress.observe = true;
  egress.max_total_bytes = 1;
  egress.max_bytes_per_second = 2;
  egress.max_connections = 3;
  auto& rule = egress.allow.emplace_back();
  rule.form = workspace::EgressRule::Form::host;
  rule.destination = "a.com";
  rule.ports = {"443"};
  rule.methods = {"GET"};
  rule.paths = {"/v1/*"};
  rule.max_bytes = 4;
  rule.max_connections = 5;
  rule.place = "here";
  egress.deny.emplace_back().destination = "b.com";
  auto& cidr = egress.passthrough.emplace_back();
  cidr.form = workspace::EgressRule::Form::cidr;
  cidr.destination = "10.0.0.0/8";
  for (const Egress& written : {Egress{}, egress}) {
    const nlohmann::json json = workspace::to_json(written);
    const auto read = policy::policy_from_json(json, "egress");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(policy::to_json(*read), json);
    EXPECT_EQ(*workspace::egress_from_json(policy::to_json(*read), "FILE"), written);
  }
}

constexpr const char* kCertificate = R"(-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUdV51zp6z636M5mWP+8FwC7dbgv8wCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjgwNTQzMzlaGA8yMTI2MTEwNDA1NDMzOVow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBYNLFOWR/yd
xnTs4Ru9NCMrA5Gi3HS+rLrTm0rDx+8c6SSUVYgzXEx7fFdHAgI5cY1K0OOgh5wa
+AANNopmEgqjUzBRMB0GA1UdDgQWBBSaqX5cCqFsrxNuoAyT7EYDmplMbDAfBgNV
HSMEGDAWgBSaqX5cCqFsrxNuoAyT7EYDmplMbDAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIQDPaaO48rcLi3mVpKLm3bYfWO7JGmUxIjyoXx2SeCMV
2AIga0ezA66D/LZXiuHW0ygpeSKcLuLYxwP4AAwmHKomiic=
-----END CERTIFICATE-----
)";

TEST_F(EgressFlags, NameFilesToTrust) {
  EgressDeclaration spec;
  spec.trust = {{file("spec.pem", kCertificate), "microagent.yaml:3: egress.trust[0]"}};
  options_.trust = {file("flag.pem", kCertificate)};
  const auto egress = settled(spec);
  ASSERT_TRUE(egress) << egress.error().message;
  EXPECT_THAT(egress->trust, testing::ElementsAre(directory_ / "spec.pem", directory_ / "flag.pem"));
}

TEST_F(EgressFlags, RefuseFilesOfNoCertificates) {
  options_.trust = {file("text.pem", "hello\n")};
  EXPECT_THAT(refusal(),
              testing::AllOf(StartsWith("--egress-trust: "), HasSubstr("/text.pem: there is no certificate")));
  options_.trust = {file("key.pem", "a note\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")};
  EXPECT_THAT(refusal(), HasSubstr("/key.pem: line 2: a private key"));
  options_.trust = {(directory_ / "nowhere.pem").string()};
  EXPECT_THAT(refusal(), HasSubstr("nowhere.pem"));
  options_.trust = {""};
  EXPECT_THAT(refusal(), StartsWith("--egress-trust"));
}

}  // namespace
}  // namespace microagent::cli

#include "credentials/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "credentials/test_loop.h"

namespace microagent::credentials {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FakeVault final : public Fetcher {
 public:
  asio::awaitable<Result<FetchResponse>> fetch(FetchRequest request) const override {
    target = request.url.authority + request.url.target;
    for (const FetchHeader& header : request.headers)
      headers += header.name + "=" + std::string(header.value.view()) + ";";
    co_return FetchResponse{status, Secret::of(body)};
  }
  mutable std::string target, headers;
  std::uint16_t status = 200;
  std::string body = R"({"data":{"data":{"key":"fr0m vault"},"metadata":{}}})";
};

class SourcesTest : public testing::Test {
 protected:
  SourcesTest() {
    MICROAGENT_CHECK(::mkdtemp(directory_) != nullptr);
    variables_ = {
        {"KEY", "s3cret"}, {"EMPTY", ""}, {"VAULT_ADDR", "https://vault.example:8200/"}, {"VAULT_TOKEN", "hvs"}};
  }
  ~SourcesTest() override { std::filesystem::remove_all(directory_); }

  std::string read(const std::string& ref) {
    Variables variables;
    for (const auto& [name, value] : variables_) variables.set(name, Secret::of(value));
    const Sources sources(std::move(variables), vault_);
    const auto secret = run(io_, sources.read(policy::parse_secret_ref(ref).value()));
    return secret ? std::string(secret->view()) : "error: " + secret.error().message;
  }

  std::string file(const std::string& text) {
    const std::string path = std::string(directory_) + "/secret";
    std::ofstream(path) << text;
    return "file:" + path;
  }

  char directory_[32] = "/tmp/sources-test-XXXXXX";
  asio::io_context io_;
  std::map<std::string, std::string> variables_;
  std::shared_ptr<FakeVault> vault_ = std::make_shared<FakeVault>();
};

TEST_F(SourcesTest, ReadVariables) {
  EXPECT_EQ(read("env:KEY"), "s3cret");
  EXPECT_THAT(read("env:NONE"), HasSubstr("env:NONE: the variable NONE was not set"));
  EXPECT_THAT(read("env:EMPTY"), HasSubstr("was not set"));
}

TEST_F(SourcesTest, ReadFilesWithoutTheLineEnd) {
  EXPECT_EQ(read(file("s3cret\n")), "s3cret");
  EXPECT_EQ(read(file("s3cret\r\n")), "s3cret");
  EXPECT_EQ(read(file("two\nlines\n\n")), "two\nlines\n");
  EXPECT_THAT(read(file("\n")), HasSubstr("is empty"));
  EXPECT_EQ(read(file(std::string(kMaxSecret, 'x') + "\n")).size(), kMaxSecret);
  EXPECT_THAT(read(file(std::string(kMaxSecret + 1, 'x'))), AllOf(HasSubstr("more than"), Not(HasSubstr("xxx"))));
  EXPECT_THAT(read("file:/nowhere/at/all"), HasSubstr("file:/nowhere/at/all"));
  EXPECT_THAT(read("file:" + std::string(directory_)), HasSubstr("is no file"));
  EXPECT_THAT(read("file:/dev/zero"), HasSubstr("is no file"));
}

TEST_F(SourcesTest, ReadVaults) {
  EXPECT_EQ(read("vault:secret/data/team/api#key"), "fr0m vault");
  EXPECT_EQ(vault_->target, "vault.example:8200/v1/secret/data/team/api");
  EXPECT_EQ(vault_->headers, "X-Vault-Token=hvs;");
  EXPECT_THAT(read("vault:secret/data/team/api#other"), AllOf(HasSubstr("no such field"), Not(HasSubstr("fr0m"))));
  vault_->status = 403;
  EXPECT_THAT(read("vault:secret/data/x#key"), HasSubstr("status 403"));
  vault_->status = 200;
  for (const char* body :
       {"", "[]", "{}", R"({"data":1})", R"({"data":{"data":[]}})", R"({"data":{"data":{"key":1}}})"}) {
    vault_->body = body;
    EXPECT_THAT(read("vault:secret/data/x#key"), HasSubstr("error: vault:secret/data/x#key")) << body;
  }
}

TEST_F(SourcesTest, NeedAnAddressAndATokenForVaults) {
  variables_["VAULT_ADDR"] = "http://vault.example";
  EXPECT_THAT(read("vault:secret/data/x#key"), HasSubstr("without TLS"));
  variables_.erase("VAULT_ADDR");
  EXPECT_THAT(read("vault:secret/data/x#key"), HasSubstr("VAULT_ADDR was not set"));
}

TEST_F(SourcesTest, RunHelpers) { EXPECT_EQ(read("helper:/bin/echo from helper"), "from helper"); }

}  // namespace
}  // namespace microagent::credentials

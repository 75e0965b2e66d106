#include "credentials/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "credentials/test_loop.h"

namespace microagent::credentials {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

// Answers as it is told and remembers what it was asked.
class FakeFetcher final : public Fetcher {
 public:
  asio::awaitable<Result<FetchResponse>> fetch(FetchRequest request) const override {
    asked = std::string(request.form.view());
    target = request.url.name + request.url.target;
    co_return FetchResponse{status, Secret::of(body)};
  }
  mutable std::string asked, target;
  std::uint16_t status = 200;
  std::string body = R"({"access_token":"t0ken","expires_in":600})";
};

policy::Swap swap_of(Json fields) {
  fields["domains"] = {"a.example"};
  return policy::parse_swap({"api", "", std::move(fields), {}}).value();
}

policy::Swap oauth(const Json& more = Json::object()) {
  Json fields = {{"type", "oauth2-cc"},
                 {"token_url", "https://auth.example/token"},
                 {"client_id_ref", "env:ID"},
                 {"client_secret_ref", "env:SECRET"}};
  fields.update(more);
  return swap_of(fields);
}

class MintTest : public testing::Test {
 protected:
  Result<Minted> make(const policy::Swap& swap) {
    Variables variables;
    variables.set("ID", Secret::of("me"));
    variables.set("SECRET", Secret::of("p&ss w\xc3\xb6rd"));
    const auto sources = std::make_shared<const Sources>(std::move(variables), fetcher_);
    const Mint mint(sources, fetcher_, std::chrono::system_clock::now);
    return run(io_, mint.make(swap));
  }
  std::string refusal(const policy::Swap& swap) {
    const auto made = make(swap);
    return made ? "accepted" : made.error().message;
  }

  asio::io_context io_;
  std::shared_ptr<FakeFetcher> fetcher_ = std::make_shared<FakeFetcher>();
};

TEST_F(MintTest, AsksForATokenWithTheClientsCredentials) {
  const auto made = make(oauth({{"scopes", {"read", "write:all"}}}));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->secret.view(), "t0ken");
  EXPECT_EQ(made->usable, seconds(540));
  EXPECT_EQ(made->refresh_after, seconds(480));
  EXPECT_EQ(fetcher_->target, "auth.example/token");
  EXPECT_EQ(fetcher_->asked,
            "grant_type=client_credentials&client_id=me&client_secret=p%26ss%20w%C3%B6rd&scope=read%20write%3Aall");
}

TEST_F(MintTest, KnowsHowLongATokenLives) {
  const auto usable = [&](const char* body, const Json& more = Json::object()) {
    fetcher_->body = body;
    return make(oauth(more)).value().usable;
  };
  EXPECT_EQ(usable(R"({"access_token":"t"})"), seconds(3540));
  EXPECT_EQ(usable(R"({"access_token":"t"})", {{"token_ttl_seconds", "160"}}), seconds(100));
  EXPECT_EQ(usable(R"({"access_token":"t","expires_in":"160"})"), seconds(100));
  EXPECT_EQ(usable(R"({"access_token":"t","expires_in":60})"), seconds(6));
  for (const char* used_up : {"-5", "0", "\"0\""}) {
    EXPECT_EQ(usable(fmt::format(R"({{"access_token":"t","expires_in":{}}})", used_up).c_str()), seconds(0));
  }
  for (const char* no_number : {"null", "\"soon\""}) {
    EXPECT_EQ(usable(fmt::format(R"({{"access_token":"t","expires_in":{}}})", no_number).c_str()), seconds(3540));
  }
  EXPECT_EQ(usable(R"({"access_token":"t","expires_in":1e300})"), seconds(365 * 24 * 3600 - 60));
  EXPECT_EQ(usable(R"({"id_token":"t"})", {{"token_response_field", "id_token"}}), seconds(3540));
}

TEST_F(MintTest, TellsOnlyTheRfcsWordsOfARefusal) {
  fetcher_->status = 401;
  fetcher_->body = R"({"error":"invalid_client","error_description":"p&ss"})";
  EXPECT_EQ(refusal(oauth()), "the token server answered with status 401 (invalid_client)");
  fetcher_->body = R"({"error":"p&ss w"})";
  EXPECT_EQ(refusal(oauth()), "the token server answered with status 401");
  fetcher_->status = 200;
  for (const char* body : {"", "p&ss", "[]", "{}", R"({"access_token":""})", R"({"access_token":1})"}) {
    fetcher_->body = body;
    EXPECT_EQ(refusal(oauth()), "the token server's answer holds no access_token") << body;
  }
}

TEST_F(MintTest, NamesTheReferenceThatLeadsNowhere) {
  EXPECT_THAT(refusal(oauth({{"client_secret_ref", "env:NONE"}})),
              AllOf(HasSubstr("env:NONE"), HasSubstr("was not set"), Not(HasSubstr("p&ss"))));
  EXPECT_EQ(make(swap_of({{"type", "static"}, {"key_ref", "env:ID"}})).value().secret.view(), "me");
}

constexpr const char* kKey = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8qzGK8V2lpwQbA0Y
-----END PRIVATE KEY-----
)";

TEST_F(MintTest, SaysThatAKeyIsNone) {
  char path[] = "/tmp/mint-test-XXXXXX";
  const Fd file(::mkstemp(path));
  ASSERT_EQ(::write(file.get(), kKey, std::string_view(kKey).size()),
            static_cast<ssize_t>(std::string_view(kKey).size()));
  const auto swap = swap_of({{"type", "jwt-bearer"}, {"signing_key_ref", std::string("file:") + path}});
  EXPECT_THAT(refusal(swap), AllOf(HasSubstr(path), HasSubstr("no private key"), Not(HasSubstr("MIGH"))));
  ::unlink(path);
}

}  // namespace
}  // namespace microagent::credentials

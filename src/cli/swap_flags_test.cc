#include "cli/swap_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/egress_flags.h"
#include "workspace/spec.h"

namespace microagent::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using workspace::Declaration;
using workspace::Manifest;
namespace fs = std::filesystem;

constexpr const char* kSwap = R"(swaps:
  payments:
    type: static
    domains: [api.example.com]
    key_ref: env:PAYMENTS_KEY
)";

class SwapFlags : public testing::Test {
 protected:
  SwapFlags() : file_(fs::path(testing::TempDir()) / ("swap-flags-" + std::to_string(::getpid()) + ".yaml")) {}
  ~SwapFlags() override { fs::remove(file_); }

  void write(const std::string& text) {
    std::ofstream(file_) << text;
    options_.files = {file_.string()};
  }

  // What `create` would record, or the error.
  Result<Manifest> settled(Declaration declaration = {}) const {
    declaration.name = {"web", "NAME"};
    if (Status added = add_swaps(options_, declaration); !added) return fail(added.error());
    auto manifest = workspace::resolve(declaration);
    if (!manifest) return manifest;
    if (Status valid = check_swaps(*manifest); !valid) return fail(valid.error());
    return manifest;
  }
  std::string refusal(const Declaration& declaration = {}) const {
    const auto manifest = settled(declaration);
    if (manifest) return "accepted";
    EXPECT_EQ(manifest.error().kind, ErrorKind::usage);
    EXPECT_FALSE(manifest.error().remediation.empty()) << manifest.error().message;
    return manifest.error().message;
  }

  fs::path file_;
  SwapOptions options_;
};

TEST_F(SwapFlags, OfAProviderAllowItsHostsAndGiveTheGuestAPlaceholder) {
  options_.providers = {"openai", "anthropic=file:/run/key"};
  const auto manifest = settled();
  ASSERT_TRUE(manifest) << manifest.error().message;
  ASSERT_EQ(manifest->swaps.size(), 2U);
  EXPECT_EQ(manifest->swaps[0].fields["key_ref"], "env:OPENAI_API_KEY");
  EXPECT_EQ(manifest->swaps[1].fields["key_ref"], "file:/run/key");
  EXPECT_EQ(manifest->egress.allow[0].destination, "api.openai.com:443");
  EXPECT_EQ(manifest->egress.allow[1].destination, "api.anthropic.com:443");
  EXPECT_EQ(manifest->egress.allow[0].place, "--cred-swap openai");
  EXPECT_THAT(manifest->env, ElementsAre("OPENAI_API_KEY=microagent-placeholder-openai",
                                         "ANTHROPIC_API_KEY=microagent-placeholder-anthropic"));
}

TEST_F(SwapFlags, OfAProviderAreEnoughForALockedList) {
  options_.providers = {"github"};
  Declaration locked;
  locked.egress.lock_allowlist = {true, "--egress-lock-allowlist"};
  EXPECT_TRUE(settled(locked));
}

TEST_F(SwapFlags, LeaveNobodyElseTheVariable) {
  options_.providers = {"openai"};
  Declaration declaration;
  declaration.env = {{"OPENAI_API_KEY_ID=x", "--env"},
                     {"OPENAI_API_KEY=sk-0123456789", "m.yaml:3: env.OPENAI_API_KEY"}};
  EXPECT_EQ(refusal(declaration),
            "m.yaml:3: env.OPENAI_API_KEY: OPENAI_API_KEY is the guest's placeholder of --cred-swap openai");
  declaration.env.pop_back();
  EXPECT_EQ(refusal(declaration), "accepted");
}

TEST_F(SwapFlags, NameWhatIsWrongWithAProvider) {
  options_.providers = {"nobody"};
  EXPECT_EQ(refusal(), "--cred-swap: the provider is not known");
  options_.providers = {"openai=sk-0123456789"};
  EXPECT_THAT(refusal(), AllOf(StartsWith("--cred-swap openai: is no reference"), Not(HasSubstr("0123"))));
  options_.providers = {"openai", "openai=file:/k"};
  EXPECT_THAT(refusal(), HasSubstr("OPENAI_API_KEY is the guest's placeholder"));
}

TEST_F(SwapFlags, ReadFilesWithTheLinesOfWhatIsWrong) {
  write(kSwap);
  ASSERT_TRUE(settled());
  EXPECT_EQ(settled()->swaps[0].place, file_.string() + ":3: swaps.payments");
  EXPECT_TRUE(settled()->env.empty());
  const std::string at = file_.string();
  write(std::string(kSwap) + "    colour: red\n");
  EXPECT_EQ(refusal(), at + ":6: swaps.payments.colour: is no field of a swap of this type");
  write(std::string(kSwap) + "    format: Bearer {token}\n");
  EXPECT_EQ(refusal(), at + ":6: swaps.payments.format: does not hold {key}");
  write("swaps:\n  a:\n    type: static\n    domains: [a.example]\n    key_ref: hunter2-hunter2\n");
  EXPECT_EQ(refusal(), at + ":5: swaps.a.key_ref: is no reference to a secret");
  write("swaps:\n  a:\n    type: static\n    domains: [a.example]\n");
  EXPECT_EQ(refusal(), at + ":3: swaps.a.key_ref: is missing");
  write(std::string(kSwap) + "  b: {type: static, domains: [API.example.com], key_ref: 'env:B'}\n");
  EXPECT_THAT(refusal(), StartsWith(at + ":6: swaps.b: api.example.com is a domain of " + at + ":3: "));
  write("swap: {}\n");
  EXPECT_EQ(refusal(), "--egress-swap-config: " + at + ":1: swap: unknown key");
}

TEST_F(SwapFlags, AreRefusedWhereThePolicyKeepsThemFromTheirHosts) {
  write(kSwap);
  Declaration declaration;
  declaration.egress.mode = {"off", "--egress"};
  EXPECT_THAT(refusal(declaration), HasSubstr(":3: swaps.payments: domain api.example.com: egress mode off"));
  declaration.egress.mode.reset();
  declaration.egress.lock_allowlist = {true, "--egress-lock-allowlist"};
  EXPECT_THAT(refusal(declaration), HasSubstr("the locked allowlist does not allow it"));
  declaration.egress.allow.push_back({.destination = ".example.com"});
  EXPECT_EQ(refusal(declaration), "accepted");
  declaration.egress.deny.push_back({.destination = "*.example.com"});
  EXPECT_THAT(refusal(declaration), HasSubstr("a deny rule denies it"));
}

TEST_F(SwapFlags, StandBesideThoseOfTheSpec) {
  write(kSwap);
  options_.providers = {"groq"};
  const auto spec = workspace::parse_spec(
      "egress:\n  swaps:\n    payments: {type: static, domains: [b.example], key_ref: 'env:B'}\n", "m.yaml");
  ASSERT_TRUE(spec);
  EXPECT_THAT(refusal(*spec), HasSubstr("the name stands at m.yaml:3: egress.swaps.payments already"));
}

// The manifest and the mediator speak of one layout: what one writes, the other reads, and the same.
TEST(SwapJson, IsTheSameInManifestAndPolicy) {
  const std::vector<workspace::DeclaredSwap> swaps{
      {"a", "here", {{"type", "static"}, {"domains", {"x.example"}}}, {{"type", "there"}}},
      {"b", "", nlohmann::json::object(), {}}};
  const nlohmann::json json = workspace::to_json(swaps);
  const auto read = policy::swaps_from_json(json, "swaps");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(policy::to_json(*read), json);
  EXPECT_EQ(workspace::swaps_from_json(policy::to_json(*read), "FILE").value(), swaps);
}

}  // namespace
}  // namespace microagent::cli

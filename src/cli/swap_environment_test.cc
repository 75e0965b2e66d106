#include "cli/swap_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace microagent::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using workspace::Manifest;

policy::SwapSet swaps_of(const std::vector<nlohmann::json>& references) {
  std::vector<policy::SwapText> texts;
  for (const auto& reference : references) {
    const std::string name = "swap" + std::to_string(texts.size());
    nlohmann::json fields = {{"type", "static"}, {"domains", {name + ".example"}}};
    fields.update(reference);
    texts.push_back({name, "", fields, {}});
  }
  auto swaps = policy::SwapSet::compile(texts);
  EXPECT_TRUE(swaps) << swaps.error().message;
  return std::move(swaps).value_or(policy::SwapSet());
}

std::string passed_on(const policy::SwapSet& swaps, const Manifest& manifest = {}) {
  const auto variables = read_swap_variables(swaps, manifest);
  if (!variables) {
    EXPECT_EQ(variables.error().kind, ErrorKind::permanent);
    EXPECT_FALSE(variables.error().remediation.empty());
    return "refused: " + variables.error().message;
  }
  if (variables->empty()) return "nothing";
  const auto pipe = variables->to_pipe();
  std::string text(4096, '\0');
  const ssize_t size = ::read(pipe.value().get(), text.data(), text.size());
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  std::ranges::replace(text, '\0', ' ');
  return text;
}

class SwapEnvironment : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("SWAP_A", "value-of-a-0123", 1);
    ::setenv("SWAP_B", "b\n", 1);
    ::setenv("SWAP_EMPTY", "", 1);
    for (const char* name : {"SWAP_MISSING", "VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE"}) ::unsetenv(name);
  }
};

TEST_F(SwapEnvironment, GivesWhatSwapsNameOnceAndNoMore) {
  EXPECT_EQ(passed_on(swaps_of({{{"key_ref", "file:/k"}}})), "nothing");
  EXPECT_EQ(
      passed_on(swaps_of({{{"key_ref", "env:SWAP_B"}}, {{"key_ref", "env:SWAP_A"}}, {{"key_ref", "env:SWAP_A"}}})),
      "SWAP_A=value-of-a-0123 SWAP_B=b\n ");
}

TEST_F(SwapEnvironment, MissesAVariableByItsName) {
  EXPECT_EQ(passed_on(swaps_of({{{"key_ref", "env:SWAP_A"}}, {{"key_ref", "env:SWAP_MISSING"}}})),
            "refused: the variable SWAP_MISSING, which the swap swap1 takes its credential from, is not set");
  EXPECT_THAT(passed_on(swaps_of({{{"key_ref", "env:SWAP_EMPTY"}}})), HasSubstr("SWAP_EMPTY, which the swap swap0"));
}

TEST_F(SwapEnvironment, NeedsOfAVaultsVariablesTwo) {
  const auto swaps = swaps_of({{{"key_ref", "vault:secret/data/x#key"}}});
  EXPECT_THAT(passed_on(swaps), HasSubstr("VAULT_ADDR"));
  ::setenv("VAULT_ADDR", "https://vault.example", 1);
  EXPECT_THAT(passed_on(swaps), HasSubstr("VAULT_TOKEN"));
  ::setenv("VAULT_TOKEN", "t", 1);
  EXPECT_EQ(passed_on(swaps), "VAULT_ADDR=https://vault.example VAULT_TOKEN=t ");
  ::setenv("VAULT_NAMESPACE", "n", 1);
  EXPECT_THAT(passed_on(swaps), HasSubstr("VAULT_NAMESPACE=n"));
}

TEST_F(SwapEnvironment, IsNotTheGuests) {
  const auto swaps = swaps_of({{{"key_ref", "env:SWAP_A"}}});
  Manifest manifest;
  manifest.env = {"SWAP_A=microagent-placeholder", "OTHER=Bearer value-of-a-0123"};
  EXPECT_THAT(
      passed_on(swaps, manifest),
      AllOf(HasSubstr("the guest's variable OTHER holds what the variable SWAP_A does"), Not(HasSubstr("0123"))));
  manifest.env.pop_back();
  EXPECT_EQ(passed_on(swaps, manifest), "SWAP_A=value-of-a-0123 ");
  manifest.entrypoint = "curl -H 'Authorization: value-of-a-0123' https://a.example";
  EXPECT_THAT(passed_on(swaps, manifest), HasSubstr("the guest's entrypoint holds"));
}

TEST_F(SwapEnvironment, MayBeRepeatedInTheGuestWhereItIsNoSecret) {
  ::setenv("SWAP_ISSUER", "issuer@example.com", 1);
  const auto swaps =
      swaps_of({{{"type", "jwt-bearer"}, {"signing_key_ref", "file:/k"}, {"claims", {{"iss", "${SWAP_ISSUER}"}}}}});
  Manifest manifest;
  manifest.env = {"ISSUER=issuer@example.com"};
  EXPECT_EQ(passed_on(swaps, manifest), "SWAP_ISSUER=issuer@example.com ");
}

}  // namespace
}  // namespace microagent::cli

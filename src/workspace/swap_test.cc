#include "workspace/swap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/spec.h"
#include "workspace/swap_spec.h"

namespace microagent::workspace {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

constexpr const char* kFile = R"(swaps:
  payments:
    type: static
    domains: [api.example.com, .pay.example]
    key_ref: env:PAYMENTS_KEY
    inBody: false
  token:
    type: jwt-bearer
    domains:
      - other.example
    signing_key_ref: file:/run/key
    token_ttl_seconds: 600
    claims:
      iss: ${ISSUER}
)";

DeclaredSwap payments() {
  return {"payments",
          "s.yaml:3: swaps.payments",
          Json{{"type", "static"},
               {"domains", {"api.example.com", ".pay.example"}},
               {"key_ref", "env:PAYMENTS_KEY"},
               {"inBody", "false"}},
          {{"type", "s.yaml:3: swaps.payments.type"},
           {"domains", "s.yaml:4: swaps.payments.domains"},
           {"key_ref", "s.yaml:5: swaps.payments.key_ref"},
           {"inBody", "s.yaml:6: swaps.payments.inBody"}}};
}

std::string refusal(std::string_view text) {
  const auto swaps = parse_swap_file(text, "s.yaml");
  if (swaps) return "accepted";
  EXPECT_EQ(swaps.error().kind, ErrorKind::usage);
  EXPECT_FALSE(swaps.error().remediation.empty()) << swaps.error().message;
  return swaps.error().message;
}

TEST(SwapFile, KeepsWhatIsWrittenAndWhere) {
  const auto swaps = parse_swap_file(kFile, "s.yaml");
  ASSERT_TRUE(swaps) << swaps.error().message;
  ASSERT_EQ(swaps->size(), 2U);
  EXPECT_EQ(swaps->at(0), payments());
  EXPECT_EQ(swaps->at(1).fields["claims"], (Json{{"iss", "${ISSUER}"}}));
  EXPECT_EQ(swaps->at(1).fields["token_ttl_seconds"], "600");
  EXPECT_EQ(swaps->at(1).places.at("claims"), "s.yaml:14: swaps.token.claims");
}

TEST(SwapFile, IsReadStrictly) {
  EXPECT_EQ(refusal("swap: {}\n"), "s.yaml:1: swap: unknown key");
  EXPECT_EQ(refusal("swaps: {}\n"), "s.yaml:1: holds no swap");
  EXPECT_EQ(refusal("swaps: [a]\n"), "s.yaml:1: swaps: is not a map");
  EXPECT_EQ(refusal("swaps:\n  a: static\n"), "s.yaml:2: swaps.a: is not a map");
  EXPECT_EQ(refusal("swaps:\n  a: {}\n  a: {}\n"), "s.yaml:3: swaps.a: the key stands here twice");
  EXPECT_EQ(refusal("swaps:\n  a:\n    type: x\n    type: y\n"), "s.yaml:4: swaps.a.type: the key stands here twice");
  EXPECT_EQ(refusal("swaps:\n  a:\n    domains: [[x]]\n"), "s.yaml:3: swaps.a.domains[0]: is not a single value");
  EXPECT_EQ(refusal("swaps:\n  a:\n    key_ref:\n"), "s.yaml:3: swaps.a.key_ref: is not a single value");
  EXPECT_THAT(refusal("swaps: {a: {}}\n---\nswaps: {b: {}}\n"), HasSubstr("s.yaml:3: a second document"));
  EXPECT_THAT(refusal(""), HasSubstr("is empty"));
}

TEST(SwapsOfASpec, StandInTheEgressSection) {
  const auto spec = parse_spec("name: web\negress:\n  swaps:\n    a:\n      type: static\n", "m.yaml");
  ASSERT_TRUE(spec) << spec.error().message;
  ASSERT_EQ(spec->egress.swaps.size(), 1U);
  EXPECT_EQ(spec->egress.swaps[0].places.at("type"), "m.yaml:5: egress.swaps.a.type");
}

TEST(Swaps, OfSpecAndFlagsUnite) {
  Declaration flags, spec;
  flags.name = {"web", "NAME"};
  flags.egress.swaps = {payments()};
  spec.egress.swaps = {DeclaredSwap{"first", "m.yaml:4: egress.swaps.first", Json::object(), {}}};
  auto united = unite(std::move(flags), std::move(spec));
  auto manifest = resolve(united);
  ASSERT_TRUE(manifest);
  ASSERT_EQ(manifest->swaps.size(), 2U);
  EXPECT_EQ(manifest->swaps[0].name, "first");
  EXPECT_EQ(manifest->swaps[1], payments());
  united.mode = {NetworkMode::isolated, "--network"};
  manifest = resolve(united);
  ASSERT_FALSE(manifest);
  EXPECT_THAT(manifest.error().message, HasSubstr("m.yaml:4: egress.swaps.first: an isolated workspace"));
}

TEST(SwapsJson, ComesBackAsItWasAndIsReadStrictly) {
  const std::vector<DeclaredSwap> swaps{payments(), {"bare", "", Json::object(), {}}};
  EXPECT_EQ(swaps_from_json(to_json(swaps), "FILE").value(), swaps);
  const char* const foreign[] = {"{}",
                                 "[1]",
                                 "[{}]",
                                 R"([{"name":"a"}])",
                                 R"([{"name":1,"fields":{}}])",
                                 R"([{"name":"a","fields":[]}])",
                                 R"([{"name":"a","fields":{"type":1}}])",
                                 R"([{"name":"a","fields":{"domains":"a.example"}}])",
                                 R"([{"name":"a","fields":{"domains":[1]}}])",
                                 R"([{"name":"a","fields":{},"more":1}])",
                                 R"([{"name":"a","fields":{},"place":1}])",
                                 R"([{"name":"a","fields":{},"places":[]}])",
                                 R"([{"name":"a","fields":{},"places":{"x":1}}])"};
  for (const char* text : foreign) {
    const auto read = swaps_from_json(Json::parse(text), "FILE");
    ASSERT_FALSE(read) << text;
    EXPECT_THAT(read.error().message, HasSubstr("FILE: ")) << text;
  }
}

TEST(SwapsRecord, SaysNothingOfWhereSecretsAre) {
  EXPECT_EQ(swaps_record({payments()}),
            Json::parse(R"([{"name":"payments","type":"static","domains":["api.example.com",".pay.example"]}])"));
}

}  // namespace
}  // namespace microagent::workspace

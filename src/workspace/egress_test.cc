#include "workspace/egress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace microagent::workspace {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Egress rich() {
  Egress egress;
  egress.mode = "mitm";
  egress.lock_allowlist = true;
  egress.observe = true;
  EgressRule map;
  map.form = EgressRule::Form::host;
  map.destination = "api.example.com";
  map.ports = {"443"};
  map.methods = {"GET"};
  map.paths = {"/v1/*"};
  map.max_bytes = 5;
  map.max_connections = 6;
  map.place = "s:3: egress.allow[0]";
  EgressRule cidr;
  cidr.form = EgressRule::Form::cidr;
  cidr.destination = "10.0.0.0/8";
  EgressRule text;
  text.destination = ".example.org";
  egress.allow = {map, text};
  egress.deny = {cidr};
  egress.passthrough = {text};
  egress.max_total_bytes = std::uint64_t{50} << 30;
  egress.max_bytes_per_second = 7;
  egress.max_connections = 8;
  egress.trust = {"/ca/one.pem", "/ca/two.pem"};
  return egress;
}

std::string refusal(const char* pointer, const Json& value) {
  Json json = manifest_json(rich());
  json[Json::json_pointer(pointer)] = value;
  const auto egress = egress_from_json(json, "FILE");
  return egress ? "accepted" : egress.error().message;
}

TEST(Egress, ComesBackAsItWas) {
  EXPECT_EQ(*egress_from_json(manifest_json(rich()), "FILE"), rich());
  EXPECT_EQ(*egress_from_json(manifest_json(Egress{}), "FILE"), Egress{});
}

TEST(Egress, TellsPoliciesNothingOfTrust) {
  EXPECT_FALSE(to_json(rich()).contains("trust"));
  EXPECT_THAT(refusal("/trust", "/ca.pem"), HasSubstr("egress.trust"));
}

TEST(Egress, IsReadStrictly) {
  EXPECT_THAT(refusal("/colour", 1), HasSubstr("\"egress.colour\" is unknown"));
  EXPECT_THAT(refusal("/mode", 1), HasSubstr("\"egress.mode\" is not a string"));
  EXPECT_THAT(refusal("/lockAllowlist", "true"), HasSubstr("egress.lockAllowlist"));
  EXPECT_THAT(refusal("/allow", "a.com"), HasSubstr("\"egress.allow\" is not a list"));
  EXPECT_THAT(refusal("/allow/0", "a.com"), HasSubstr("\"egress.allow[0].\" is not an object"));
  EXPECT_THAT(refusal("/allow/0/colour", 1), HasSubstr("\"egress.allow[0].colour\" is unknown"));
  EXPECT_THAT(refusal("/allow/0/cidr", "10.0.0.0/8"), HasSubstr("egress.allow[0].rule"));
  EXPECT_THAT(refusal("/allow/1", Json::object()), HasSubstr("egress.allow[1].rule"));
  EXPECT_THAT(refusal("/allow/0/ports", Json{443}), HasSubstr("egress.allow[0].ports"));
  EXPECT_THAT(refusal("/allow/0/maxBytes", -1), HasSubstr("egress.allow[0].maxBytes"));
  EXPECT_THAT(refusal("/maxConnections", std::uint64_t{1} << 32), HasSubstr("egress.maxConnections"));
}

TEST(Egress, IsRecordedInShort) {
  EXPECT_EQ(egress_record(Egress{}), Json::parse(R"({"mode":"broker","lockAllowlist":false,
      "rules":{"allow":0,"deny":0,"passthrough":0}})"));
  EXPECT_EQ(egress_record(rich()), Json::parse(R"({"mode":"mitm","lockAllowlist":true,"observe":true,
      "rules":{"allow":2,"deny":1,"passthrough":1},
      "maxTotalBytes":53687091200,"maxBytesPerSecond":7,"maxConnections":8,
      "trust":["/ca/one.pem","/ca/two.pem"]})"));
}

TEST(Egress, ReadsCaps) {
  EXPECT_EQ(parse_byte_cap("0"), 0U);
  EXPECT_EQ(parse_byte_cap("1048576"), 1048576U);
  EXPECT_EQ(parse_byte_cap("512KiB"), 524288U);
  EXPECT_EQ(parse_byte_cap("10m"), 10U << 20);
  EXPECT_EQ(parse_byte_cap("50GB"), std::uint64_t{50} << 30);
  EXPECT_EQ(parse_byte_cap("1t"), std::uint64_t{1} << 40);
  EXPECT_EQ(parse_byte_cap("9223372036854775807"), 9223372036854775807U);
  for (const char* text :
       {"", "-1", "1.5G", "1 G", "G", "x", "1ib", "1P", "9223372036854775808", "8388608TiB", "99999999999999999999"}) {
    EXPECT_FALSE(parse_byte_cap(text)) << text;
  }
  EXPECT_EQ(parse_connection_cap("256"), 256U);
  for (const char* text : {"", "-1", "4294967296", "x"}) EXPECT_FALSE(parse_connection_cap(text)) << text;
}

}  // namespace
}  // namespace microagent::workspace

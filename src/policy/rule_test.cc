#include "policy/rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Kind = Rule::Kind;

struct Form {
  const char* written;
  Kind kind;
  const char* text;  // canonical
};

class RuleForm : public testing::TestWithParam<Form> {};

TEST_P(RuleForm, IsRead) {
  const auto rule = parse_rule(GetParam().written);
  ASSERT_TRUE(rule) << GetParam().written << ": " << rule.error().message;
  EXPECT_EQ(rule->kind, GetParam().kind);
  EXPECT_EQ(rule->text, GetParam().text);
  EXPECT_EQ(parse_rule(rule->text)->text, rule->text);
}

INSTANTIATE_TEST_SUITE_P(
    All, RuleForm,
    testing::Values(
        Form{"api.example.com", Kind::name, "api.example.com"}, Form{"API.Example.com.", Kind::name, "api.example.com"},
        Form{"api.example.com:443", Kind::name, "api.example.com:443"},
        Form{"api.example.com.:8000-8010", Kind::name, "api.example.com:8000-8010"},
        Form{"bücher.example", Kind::name, "xn--bcher-kva.example"}, Form{"localhost:80", Kind::name, "localhost:80"},
        Form{".example.com", Kind::suffix, ".example.com"}, Form{".EXAMPLE.com:443", Kind::suffix, ".example.com:443"},
        Form{"*.example.com", Kind::wildcard, "*.example.com"},
        Form{"*.example.com:443", Kind::wildcard, "*.example.com:443"}, Form{"10.1.2.3", Kind::prefix, "10.1.2.3"},
        Form{"10.1.2.3:5432", Kind::prefix, "10.1.2.3:5432"}, Form{"10.1.2.3/32", Kind::prefix, "10.1.2.3"},
        Form{"2001:DB8::1", Kind::prefix, "2001:db8::1"}, Form{"[2001:db8::1]", Kind::prefix, "2001:db8::1"},
        Form{"[2001:db8::1]:443", Kind::prefix, "[2001:db8::1]:443"}, Form{"10.0.0.0/8", Kind::prefix, "10.0.0.0/8"},
        Form{"10.0.0.0/8:65535", Kind::prefix, "10.0.0.0/8:65535"}, Form{"0.0.0.0/0", Kind::prefix, "0.0.0.0/0"},
        Form{"fd00::/8", Kind::prefix, "fd00::/8"}, Form{"fd00::/8:53", Kind::prefix, "[fd00::/8]:53"},
        Form{"[fd00::/8]:53", Kind::prefix, "[fd00::/8]:53"}, Form{"::ffff:10.0.0.1", Kind::prefix, "10.0.0.1"},
        Form{"::ffff:10.0.0.0/104", Kind::prefix, "10.0.0.0/8"}, Form{"１０.0.0.1", Kind::prefix, "10.0.0.1"}));

TEST(Rule, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is empty"},
      {":80", "the host is empty"},
      {".", "the host is empty"},
      {"*.", "the host is empty"},
      {"*", "a * can stand for the first label only"},
      {"api.*.com", "a * can stand for the first label only"},
      {"*api.example.com", "a * can stand for the first label only"},
      {"*.*.example.com", "the host has characters that no host name has"},
      {".10.0.0.1", "an address has no names below it"},
      {"*.10.0.0.1", "an address has no names below it"},
      {"https://api.example.com", "is a URL"},
      {"https://10.0.0.1", "is a URL"},
      {"api.example.com/v1", "the prefix is not an IP address"},
      {"api.example.com:", "the port is not"},
      {"api.example.com:0", "the port is not"},
      {"api.example.com:080", "the port is not"},
      {"api.example.com:65536", "the port is not"},
      {"api.example.com:https", "the port is not"},
      {"api.example.com:80-", "the port is not"},
      {"api.example.com:90-80", "the range of ports begins behind its end"},
      {"10.0.0.1:+80", "the port is not"},
      {"127.1", "the host could be read as an IP address"},
      {"2130706433", "the host could be read as an IP address"},
      {"0x7f.1", "the host could be read as an IP address"},
      {"10.0.0.0/33", "the prefix is not"},
      {"10.0.0.0/:80", "the prefix is not"},
      {"10.0.0.0/08", "the prefix is not"},
      {"10.1.2.3/8", "the prefix has bits set behind its length"},
      {"[::1", "the host has one bracket"},
      {"[example.com]:80", "the host has one bracket"},
      {"[::1]80", "the host has one bracket"},
      {"fe80::1%eth0", "the host is not an IPv6 address"},
      {" 10.0.0.1", "no host name has"},
      {"a,b", "no host name has"},
      {"a b", "no host name has"},
      {"user@example.com", "no host name has"},
      {"a..b", "the host has an empty label"},
      {"%61.com", "no host name has"},
  };
  for (const auto& [text, why] : cases) {
    const auto rule = parse_rule(text);
    ASSERT_FALSE(rule) << text;
    EXPECT_EQ(rule.error().kind, ErrorKind::usage);
    EXPECT_THAT(rule.error().message, HasSubstr(why)) << text;
    EXPECT_FALSE(rule.error().remediation.empty()) << text;
  }
}

TEST(Rule, NamesThePlaceAndTheEntryOfAnError) {
  const auto rule = parse_rule(rule_text("a b\n", "microagent.yaml:7: egress.allow[0]"));
  EXPECT_THAT(rule.error().message, StartsWith("microagent.yaml:7: egress.allow[0]: egress rule \"a b\\x0a\": "));
  EXPECT_THAT(parse_rule(std::string(500, 'x')).error().message, HasSubstr("xxx...\""));
  EXPECT_FALSE(parse_rule(std::string_view("evil.com\0.example.com", 21)));
}

RuleText map_of(RuleText::Form form, const char* destination) {
  RuleText entry;
  entry.form = form;
  entry.destination = destination;
  return entry;
}

TEST(Rule, ReadsAMap) {
  RuleText entry = map_of(RuleText::Form::host, "api.example.com");
  entry.ports = {"8000-8010", "443", "8005-8020", "8021"};
  entry.methods = {"post", "GET", "GET"};
  entry.paths = {"/v1/*", "/health"};
  entry.max_bytes = 1000;
  entry.max_connections = 4;
  const auto rule = parse_rule(entry);
  ASSERT_TRUE(rule) << rule.error().message;
  EXPECT_EQ(rule->text, "api.example.com:443,8000-8021 GET,POST /health,/v1/*");
  EXPECT_TRUE(rule->needs_request());
  EXPECT_EQ(rule->max_bytes, 1000U);
  EXPECT_EQ(rule->max_connections, 4U);
  EXPECT_TRUE(rule->matches_port(8010));
  EXPECT_FALSE(rule->matches_port(444));

  EXPECT_EQ(parse_rule(map_of(RuleText::Form::cidr, "10.0.0.0/8"))->text, "10.0.0.0/8");
  EXPECT_EQ(parse_rule(map_of(RuleText::Form::cidr, "::ffff:10.0.0.1"))->text, "10.0.0.1");
  EXPECT_EQ(parse_rule(map_of(RuleText::Form::host, ".example.com"))->kind, Kind::suffix);
  EXPECT_EQ(parse_rule(map_of(RuleText::Form::host, "10.0.0.1"))->text, "10.0.0.1");
}

TEST(Rule, IsStrictAboutMaps) {
  using Form = RuleText::Form;
  EXPECT_THAT(parse_rule(map_of(Form::host, "10.0.0.0/8")).error().message, HasSubstr("is not a host"));
  EXPECT_THAT(parse_rule(map_of(Form::host, "api.example.com:443")).error().message, HasSubstr("no port here"));
  EXPECT_THAT(parse_rule(map_of(Form::host, "")).error().message, HasSubstr("is empty"));
  EXPECT_THAT(parse_rule(map_of(Form::cidr, "example.com")).error().message, HasSubstr("is not an IP address"));
  EXPECT_THAT(parse_rule(map_of(Form::cidr, "10.0.0.0/8:80")).error().message, HasSubstr("the prefix is not"));

  const auto refused = [](auto change) {
    RuleText entry = map_of(Form::host, "example.com");
    change(entry);
    const auto rule = parse_rule(entry);
    return rule ? std::string() : rule.error().message;
  };
  EXPECT_THAT(refused([](RuleText& e) { e.ports = {"http"}; }), HasSubstr("the port is not"));
  EXPECT_THAT(refused([](RuleText& e) { e.methods = {""}; }), HasSubstr("method"));
  EXPECT_THAT(refused([](RuleText& e) { e.methods = {"GET POST"}; }), HasSubstr("method \"GET POST\""));
  EXPECT_THAT(refused([](RuleText& e) { e.paths = {"v1"}; }), HasSubstr("path \"v1\""));
  EXPECT_THAT(refused([](RuleText& e) { e.max_bytes = 0; }), HasSubstr("a cap of 0"));
  EXPECT_THAT(refused([](RuleText& e) { e.max_connections = 0; }), HasSubstr("a cap of 0"));
}

TEST(Rule, MatchesPortsOnlyWhereThereAreAny) {
  EXPECT_TRUE(parse_rule("10.0.0.0/8")->matches_port(81));
  EXPECT_TRUE(parse_rule("10.0.0.0/8")->matches_port(std::nullopt));
  EXPECT_TRUE(parse_rule("10.0.0.0/8:80")->matches_port(80));
  EXPECT_FALSE(parse_rule("10.0.0.0/8:80")->matches_port(81));
  EXPECT_FALSE(parse_rule("10.0.0.0/8:80")->matches_port(std::nullopt));
  EXPECT_TRUE(parse_rule("a:1-65535")->matches_port(65535));
}

TEST(List, HasWords) {
  for (const List list : {List::allow, List::deny, List::passthrough}) {
    EXPECT_EQ(list_from_string(to_string(list)), list);
  }
  EXPECT_FALSE(list_from_string("swaps"));
}

}  // namespace
}  // namespace microagent::policy

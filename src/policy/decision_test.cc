#include "policy/decision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace microagent::policy {
namespace {

using testing::HasSubstr;

// A policy as lines: "mitm", "lock", "observe", "allow a.com:443", "deny .b.com GET,POST /v1/*".
PolicyText text_of(std::string_view lines) {
  PolicyText text;
  std::istringstream in{std::string(lines)};
  for (std::string word, line; std::getline(in, line, ';');) {
    std::istringstream words(line);
    words >> word;
    if (const auto list = list_from_string(word)) {
      RuleText entry = rule_text("", "test");
      words >> entry.destination;
      while (words >> word) (word.starts_with('/') ? entry.paths : entry.methods).push_back(word);
      text.list(*list).push_back(entry);
    } else if (word == "lock") {
      text.lock_allowlist = true;
    } else if (word == "observe") {
      text.observe = true;
    } else {
      text.mode = parse_mode_word(word)->mode;
    }
  }
  return text;
}

Policy policy_of(std::string_view lines) {
  const auto policy = Policy::compile(text_of(lines));
  EXPECT_TRUE(policy) << lines;
  return *policy;
}

std::string word(Verdict verdict) {
  switch (verdict) {
    case Verdict::deny: return "deny";
    case Verdict::peek: return "peek";
    case Verdict::splice: return "splice";
    case Verdict::intercept: return "intercept";
  }
  return "?";
}

// "deny denied: deny a.com (test) [denied]"
std::string shown(const Decision& decision) {
  std::string text = word(decision.verdict) + " " + std::string(to_string(decision.reason)) + ": " + decision.text;
  if (decision.signal != Signal::none) text += " [" + std::string(to_string(decision.signal)) + "]";
  if (decision.would_deny) text += " (would deny)";
  return text;
}

Surroundings surroundings() {
  Surroundings around;
  around.host = {*parse_address("203.0.113.7")};
  around.subnet = parse_cidr("192.168.64.0/24");
  return around;
}

Facts flow(std::string_view destination, std::uint16_t port, std::vector<std::string> bound = {}) {
  Facts facts;
  facts.destination = *parse_address(destination);
  facts.port = port;
  facts.bound_names = std::move(bound);
  return facts;
}

Facts named(Content content, std::string_view name, Facts facts) {
  facts.content = content;
  facts.name = std::string(name);
  return facts;
}

Facts datagrams(Facts facts) {
  facts.protocol = Protocol::udp;
  return facts;
}

Facts echo(Facts facts) {
  facts.protocol = Protocol::icmp;
  facts.port.reset();
  return facts;
}

struct Row {
  const char* policy;
  Facts facts;
  const char* decision;
};

class DecisionTable : public testing::TestWithParam<Row> {};

TEST_P(DecisionTable, Holds) {
  const Policy policy = policy_of(GetParam().policy);
  EXPECT_EQ(shown(decide(policy, surroundings(), GetParam().facts)), GetParam().decision) << GetParam().policy;
}

constexpr const char* kPublic = "198.51.100.1";
const std::vector<std::string> kA{"a.com"}, kAB{"a.com", "b.com"};
constexpr auto kTls = Content::tls;
constexpr auto kHttp = Content::http1;
constexpr auto kOpaque = Content::opaque;

INSTANTIATE_TEST_SUITE_P(
    AtTheSyn, DecisionTable,
    testing::Values(
        Row{"broker", flow(kPublic, 443), "peek public: default: public addresses are allowed"},
        Row{"broker", flow("10.0.0.1", 80), "deny inside: inside: private 10.0.0.0/8 [denied]"},
        Row{"broker", flow("::ffff:10.0.0.1", 80), "deny inside: inside: private 10.0.0.0/8 [denied]"},
        Row{"broker", flow("203.0.113.7", 80), "deny inside: inside: an address of the host [denied]"},
        Row{"broker", flow("192.168.64.9", 80),
            "deny inside: inside: the workspace's own subnet 192.168.64.0/24 [denied]"},
        // An answer that points inside grants nothing; a rule that names the host does.
        Row{"broker", flow("10.0.0.1", 80, kA), "deny inside: inside: private 10.0.0.0/8 [denied]"},
        Row{"allow a.com", flow("10.0.0.1", 80, kA), "peek listed: allow a.com (test)"},
        Row{"allow 10.0.0.1:80", flow("10.0.0.1", 80), "peek listed: allow 10.0.0.1:80 (test)"},
        Row{"allow 10.0.0.1:80", flow("10.0.0.1", 81), "deny inside: inside: private 10.0.0.0/8 [denied]"},
        Row{"allow 10.0.0.0/8", flow("::ffff:10.0.0.1", 80), "peek listed: allow 10.0.0.0/8 (test)"},
        Row{"passthrough 10.0.0.1", flow("10.0.0.1", 80), "peek listed: passthrough 10.0.0.1 (test)"},
        Row{"lock", flow(kPublic, 443), "deny not-listed: lockAllowlist: not listed [denied]"},
        Row{"lock", flow("10.0.0.1", 443), "deny inside: inside: private 10.0.0.0/8 [denied]"},
        Row{"lock;allow a.com:443", flow(kPublic, 443, kA), "peek listed: allow a.com:443 (test)"},
        Row{"lock;allow a.com:443", flow(kPublic, 80, kA), "deny not-listed: lockAllowlist: not listed [denied]"},
        Row{"lock;allow b.com", flow(kPublic, 443, kAB), "peek listed: allow b.com (test)"},
        Row{"lock;passthrough .com", flow(kPublic, 443, kA), "peek listed: passthrough .com (test)"},
        Row{"deny a.com", flow(kPublic, 443, kA), "deny denied: deny a.com (test) [denied]"},
        // Another name stands behind the address too: the name stage tells them apart.
        Row{"deny a.com", flow(kPublic, 443, kAB), "peek public: default: public addresses are allowed"},
        Row{"deny a.com;deny b.com", flow(kPublic, 443, kAB), "deny denied: deny a.com (test) [denied]"},
        Row{"deny 198.51.100.0/24", flow(kPublic, 443, kA), "deny denied: deny 198.51.100.0/24 (test) [denied]"},
        Row{"deny 198.51.100.0/24:80", flow(kPublic, 443), "peek public: default: public addresses are allowed"},
        Row{"deny a.com GET", flow(kPublic, 443, kA), "peek public: default: public addresses are allowed"},
        Row{"allow a.com GET", flow(kPublic, 443, kA), "peek listed: allow a.com GET (test)"}));

INSTANTIATE_TEST_SUITE_P(
    ByName, DecisionTable,
    testing::Values(
        Row{"broker", named(kTls, "a.com", flow(kPublic, 443, kA)),
            "splice public: default: public addresses are allowed"},
        Row{"broker", named(kTls, "A.COM.", flow(kPublic, 443, kA)),
            "splice public: default: public addresses are allowed"},
        Row{"broker", named(kTls, "c.com", flow(kPublic, 443, kA)),
            "splice public: default: public addresses are allowed [name-destination-mismatch]"},
        Row{"broker", named(kTls, "", flow(kPublic, 443, kA)),
            "splice public: default: public addresses are allowed [direct-ip-no-sni]"},
        Row{"broker", named(kHttp, kPublic, flow(kPublic, 80)),
            "splice public: default: public addresses are allowed [direct-ip-no-sni]"},
        Row{"broker", named(kHttp, "127.0.0.1", flow(kPublic, 80)),
            "splice public: default: public addresses are allowed [name-destination-mismatch]"},
        Row{"broker", named(kOpaque, "", flow(kPublic, 22, kA)),
            "splice public: default: public addresses are allowed"},
        Row{"deny a.com", named(kTls, "a.com", flow(kPublic, 443, kAB)), "deny denied: deny a.com (test) [denied]"},
        Row{"deny a.com", named(kTls, "b.com", flow(kPublic, 443, kAB)),
            "splice public: default: public addresses are allowed"},
        // A name that is not bound is still a name that deny rules know.
        Row{"deny c.com", named(kTls, "c.com", flow(kPublic, 443, kA)),
            "deny denied: deny c.com (test) [name-destination-mismatch]"},
        // To say another name, or none, does not lead around a deny rule for a name of this address.
        Row{"deny a.com", named(kTls, "c.com", flow(kPublic, 443, kAB)),
            "deny denied: deny a.com (test) [name-destination-mismatch]"},
        Row{"deny a.com", named(kTls, "", flow(kPublic, 443, kAB)),
            "deny denied: deny a.com (test) [direct-ip-no-sni]"},
        Row{"deny a.com", named(kOpaque, "", flow(kPublic, 22, kAB)), "deny denied: deny a.com (test) [denied]"},
        Row{"lock;allow a.com", named(kTls, "a.com", flow(kPublic, 443, kAB)), "splice listed: allow a.com (test)"},
        Row{"lock;allow a.com", named(kTls, "b.com", flow(kPublic, 443, kAB)),
            "deny not-listed: lockAllowlist: not listed [denied]"},
        Row{"lock;allow a.com", named(kTls, "a.com", flow(kPublic, 443)),
            "deny not-listed: lockAllowlist: not listed [name-destination-mismatch]"},
        Row{"lock;allow a.com", named(kTls, "", flow(kPublic, 443, kA)),
            "deny not-listed: lockAllowlist: not listed [direct-ip-no-sni]"},
        Row{"lock;allow a.com", named(kTls, kPublic, flow(kPublic, 443, kA)),
            "deny not-listed: lockAllowlist: not listed [direct-ip-no-sni]"},
        // SSH and SMTP carry no name: what DNS told of the address must do.
        Row{"lock;allow a.com:22", named(kOpaque, "", flow(kPublic, 22, kA)), "splice listed: allow a.com:22 (test)"},
        Row{"lock;allow 198.51.100.0/24", named(kTls, "c.com", flow(kPublic, 443)),
            "splice listed: allow 198.51.100.0/24 (test) [name-destination-mismatch]"},
        Row{"allow a.com", named(kTls, "a.com", flow("10.0.0.1", 443)),
            "deny inside: inside: private 10.0.0.0/8 [name-destination-mismatch]"},
        Row{"allow a.com", named(kTls, "a.com", flow("10.0.0.1", 443, kA)), "splice listed: allow a.com (test)"},
        Row{"broker", named(kTls, "a b", flow(kPublic, 443, kA)),
            "deny invalid-name: names: what was named is no host name [name-destination-mismatch]"},
        Row{"broker", named(kTls, "2130706433", flow(kPublic, 443, kA)),
            "deny invalid-name: names: what was named is no host name [name-destination-mismatch]"},
        Row{"broker", named(kTls, std::string_view("a.com\0.b.com", 12), flow(kPublic, 443, kA)),
            "deny invalid-name: names: what was named is no host name [name-destination-mismatch]"}));

INSTANTIATE_TEST_SUITE_P(
    Order, DecisionTable,
    testing::Values(Row{"deny .com;passthrough a.com;allow a.com", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "deny denied: deny .com (test) [denied]"},
                    Row{"mitm;passthrough .com;allow a.com", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "splice listed: passthrough .com (test)"},
                    Row{"allow .com;allow *.com;allow a.com;allow a.com:443",
                        named(kTls, "a.com", flow(kPublic, 443, kA)), "splice listed: allow a.com:443 (test)"},
                    Row{"allow .com;allow *.com;allow a.com:80", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "splice listed: allow *.com (test)"},
                    Row{"allow a.com;allow 198.51.100.1:443", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "splice listed: allow a.com (test)"},
                    // However specific another deny rule is that needs the request, the plain one denies.
                    Row{"deny .com;deny a.com POST", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "deny denied: deny .com (test) [denied]"}));

INSTANTIATE_TEST_SUITE_P(
    Interception, DecisionTable,
    testing::Values(Row{"mitm", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "intercept public: default: public addresses are allowed"},
                    Row{"mitm;lock;allow a.com", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "intercept listed: allow a.com (test)"},
                    Row{"mitm", named(Content::http2, "a.com", flow(kPublic, 80, kA)),
                        "intercept public: default: public addresses are allowed"},
                    Row{"mitm", named(kOpaque, "", flow(kPublic, 22, kA)),
                        "splice public: default: public addresses are allowed"},
                    Row{"allow a.com GET", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "intercept listed: allow a.com GET (test)"},
                    Row{"allow a.com GET;allow a.com", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "splice listed: allow a.com (test)"},
                    Row{"allow a.com GET;allow .com", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "intercept listed: allow a.com GET (test)"},
                    Row{"allow a.com GET", named(kOpaque, "", flow(kPublic, 443, kA)),
                        "deny unreadable: allow a.com GET (test) [denied]"},
                    Row{"deny a.com /admin", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "intercept public: default: public addresses are allowed"},
                    Row{"deny a.com /admin;allow a.com", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "intercept listed: allow a.com (test)"},
                    Row{"deny a.com /admin;passthrough a.com", named(kTls, "a.com", flow(kPublic, 443, kA)),
                        "intercept listed: passthrough a.com (test)"},
                    Row{"deny a.com /admin", named(kOpaque, "", flow(kPublic, 443, kA)),
                        "deny unreadable: deny a.com /admin (test) [denied]"},
                    Row{"deny a.com /admin;allow a.com", named(kOpaque, "", flow(kPublic, 443, kA)),
                        "deny unreadable: deny a.com /admin (test) [denied]"},
                    Row{"deny a.com:443 /admin", named(kOpaque, "", flow(kPublic, 22, kA)),
                        "splice public: default: public addresses are allowed"}));

INSTANTIATE_TEST_SUITE_P(
    OtherProtocols, DecisionTable,
    testing::Values(
        Row{"broker", datagrams(flow(kPublic, 123)), "splice public: default: public addresses are allowed"},
        Row{"broker", datagrams(flow("10.0.0.1", 123)), "deny inside: inside: private 10.0.0.0/8 [denied]"},
        Row{"allow 198.51.100.1", datagrams(flow(kPublic, 443, kA)),
            "deny quic: quic: clients fall back to TCP [quic-udp443]"},
        Row{"lock;allow a.com:123", datagrams(flow(kPublic, 123, kAB)), "splice listed: allow a.com:123 (test)"},
        Row{"lock", datagrams(flow(kPublic, 123)), "deny not-listed: lockAllowlist: not listed [denied]"},
        // No name will come that could tell the two apart.
        Row{"deny b.com", datagrams(flow(kPublic, 123, kAB)), "deny denied: deny b.com (test) [denied]"},
        Row{"allow a.com GET", datagrams(flow(kPublic, 123, kA)), "deny unreadable: allow a.com GET (test) [denied]"},
        Row{"broker", echo(flow(kPublic, 0)), "splice public: default: public addresses are allowed"},
        Row{"lock;allow a.com", echo(flow(kPublic, 0, kA)), "splice listed: allow a.com (test)"},
        Row{"lock;allow a.com:443", echo(flow(kPublic, 0, kA)), "deny not-listed: lockAllowlist: not listed [denied]"},
        Row{"mitm", echo(flow(kPublic, 0)), "splice public: default: public addresses are allowed"}));

INSTANTIATE_TEST_SUITE_P(
    Off, DecisionTable,
    testing::Values(
        Row{"off", flow(kPublic, 443), "splice off: mode off: nothing is judged"},
        Row{"off", flow("10.0.0.1", 443), "splice off: mode off: nothing is judged"},
        Row{"off", flow("203.0.113.7", 443), "splice off: mode off: nothing is judged"},
        Row{"off", datagrams(flow(kPublic, 443)), "splice off: mode off: nothing is judged"},
        Row{"off", flow("127.0.0.1", 80), "deny inside: mode off: the host's loopback is never reached [denied]"},
        Row{"off", flow("0.0.0.0", 80), "deny inside: mode off: the host's loopback is never reached [denied]"},
        Row{"off", flow("::1", 80), "deny inside: mode off: the host's loopback is never reached [denied]"},
        Row{"off", flow("::ffff:127.9.9.9", 80),
            "deny inside: mode off: the host's loopback is never reached [denied]"},
        Row{"off;allow 127.0.0.1:80", flow("127.0.0.1", 80), "splice listed: allow 127.0.0.1:80 (test)"},
        Row{"off;allow 127.0.0.1:80", flow("127.0.0.1", 81),
            "deny inside: mode off: the host's loopback is never reached [denied]"}));

INSTANTIATE_TEST_SUITE_P(
    Observe, DecisionTable,
    testing::Values(
        Row{"observe", flow(kPublic, 443), "peek not-listed: lockAllowlist: not listed (would deny)"},
        Row{"observe", flow("10.0.0.1", 443), "peek inside: inside: private 10.0.0.0/8 (would deny)"},
        Row{"observe;deny a.com", named(kTls, "a.com", flow(kPublic, 443, kA)),
            "splice denied: deny a.com (test) (would deny)"},
        Row{"observe;mitm", named(kTls, "a.com", flow(kPublic, 443, kA)),
            "intercept not-listed: lockAllowlist: not listed (would deny)"},
        Row{"observe;allow a.com", named(kTls, "a.com", flow(kPublic, 443, kA)), "splice listed: allow a.com (test)"},
        Row{"observe", named(kTls, "", flow(kPublic, 443, kA)),
            "splice not-listed: lockAllowlist: not listed [direct-ip-no-sni] (would deny)"},
        Row{"observe", datagrams(flow(kPublic, 123)), "splice not-listed: lockAllowlist: not listed (would deny)"},
        Row{"observe", flow("127.0.0.1", 80), "deny inside: inside: loopback 127.0.0.0/8 [denied]"},
        Row{"observe", datagrams(flow(kPublic, 443)),
            "splice quic: quic: clients fall back to TCP [quic-udp443] (would deny)"},
        Row{"observe;allow a.com", datagrams(flow(kPublic, 443, kA)),
            "splice quic: quic: clients fall back to TCP [quic-udp443] (would deny)"},
        Row{"observe", datagrams(flow("127.0.0.1", 443)), "deny quic: quic: clients fall back to TCP [quic-udp443]"}));

TEST(Decide, InterceptsForASwapOfABoundName) {
  Facts facts = named(kTls, "a.com", flow(kPublic, 443, kA));
  facts.swap = true;
  EXPECT_EQ(decide(policy_of("broker"), {}, facts).verdict, Verdict::intercept);
  EXPECT_EQ(decide(policy_of("allow a.com"), {}, facts).verdict, Verdict::intercept);
  EXPECT_EQ(decide(policy_of("passthrough a.com"), {}, facts).verdict, Verdict::splice);
  facts.name = "b.com";
  EXPECT_EQ(decide(policy_of("broker"), {}, facts).verdict, Verdict::splice);
  EXPECT_EQ(decide(policy_of("allow 198.51.100.1"), {}, facts).verdict, Verdict::splice);
}

TEST(Decide, SaysForWhomTheFlowIs) {
  const Policy policy = policy_of("broker");
  EXPECT_EQ(decide(policy, {}, flow(kPublic, 443)).host, kPublic);
  EXPECT_EQ(decide(policy, {}, flow(kPublic, 443, kAB)).host, "a.com");
  EXPECT_EQ(decide(policy, {}, named(kTls, "B.com", flow(kPublic, 443, kAB))).host, "b.com");
  EXPECT_EQ(decide(policy, {}, named(kTls, "c.com", flow(kPublic, 443, kAB))).host, kPublic);
  EXPECT_EQ(decide(policy, {}, flow("::ffff:198.51.100.1", 443)).host, kPublic);
}

TEST(Decide, KeepsTheRuleWithItsCaps) {
  PolicyText text = text_of("allow a.com");
  text.allow[0].max_bytes = 5;
  const Decision decision = decide(*Policy::compile(text), {}, flow(kPublic, 443, kA));
  ASSERT_TRUE(decision.rule);
  EXPECT_EQ(decision.rule->max_bytes, 5U);
  EXPECT_EQ(decide(Policy(), {}, flow(kPublic, 443)).rule, nullptr);
}

TEST(UnboundName, IsWhatMustBeLookedUp) {
  EXPECT_EQ(unbound_name(named(kTls, "B.com", flow(kPublic, 443, kA))), "b.com");
  EXPECT_FALSE(unbound_name(named(kTls, "A.com", flow(kPublic, 443, kA))));
  EXPECT_FALSE(unbound_name(named(kTls, "", flow(kPublic, 443, kA))));
  EXPECT_FALSE(unbound_name(named(kTls, "1.2.3.4", flow(kPublic, 443, kA))));
  EXPECT_FALSE(unbound_name(named(kTls, "a b", flow(kPublic, 443, kA))));
  EXPECT_FALSE(unbound_name(named(kOpaque, "b.com", flow(kPublic, 443, kA))));
}

struct RequestRow {
  const char* policy;
  const char* method;
  const char* path;
  const char* decision;
};

class RequestTable : public testing::TestWithParam<RequestRow> {};

TEST_P(RequestTable, Holds) {
  const auto& row = GetParam();
  const Facts facts = named(kTls, "a.com", flow(kPublic, 443, kA));
  EXPECT_EQ(shown(decide_request(policy_of(row.policy), surroundings(), facts, {row.method, row.path})), row.decision)
      << row.policy << " " << row.method << " " << row.path;
}

INSTANTIATE_TEST_SUITE_P(
    All, RequestTable,
    testing::Values(
        RequestRow{"mitm", "GET", "/../x", "splice public: default: public addresses are allowed"},
        RequestRow{"allow a.com GET", "GET", "/x", "splice listed: allow a.com GET (test)"},
        RequestRow{"allow a.com GET", "POST", "/x", "deny request-not-listed: allow a.com GET (test) [denied]"},
        RequestRow{"allow a.com GET", "get", "/x", "deny request-not-listed: allow a.com GET (test) [denied]"},
        RequestRow{"allow a.com /v1/*", "GET", "/v1/x?y=/../z", "splice listed: allow a.com /v1/* (test)"},
        RequestRow{"allow a.com /v1/*", "GET", "/v1/%78", "splice listed: allow a.com /v1/* (test)"},
        RequestRow{"allow a.com /v1/*", "GET", "/v2", "deny request-not-listed: allow a.com /v1/* (test) [denied]"},
        RequestRow{"allow a.com /v1/*", "GET", "/v1/../v2", "deny ambiguous-path: allow a.com /v1/* (test) [denied]"},
        RequestRow{"allow a.com /v1/*", "GET", "/v1/%2e%2e/v2",
                   "deny ambiguous-path: allow a.com /v1/* (test) [denied]"},
        RequestRow{"allow a.com GET /a;allow a.com POST /b", "POST", "/b", "splice listed: allow a.com POST /b (test)"},
        RequestRow{"allow a.com GET /a;allow a.com POST /b", "POST", "/a",
                   "deny request-not-listed: allow a.com GET /a (test) [denied]"},
        RequestRow{"allow a.com GET;allow .com", "POST", "/",
                   "deny request-not-listed: allow a.com GET (test) [denied]"},
        RequestRow{"deny a.com /admin/*", "GET", "/admin/x", "deny denied: deny a.com /admin/* (test) [denied]"},
        RequestRow{"deny a.com /admin/*", "GET", "/x", "splice public: default: public addresses are allowed"},
        RequestRow{"deny a.com /admin/*", "GET", "/x/../admin/y",
                   "deny ambiguous-path: deny a.com /admin/* (test) [denied]"},
        RequestRow{"deny a.com POST /admin/*", "GET", "/x/../admin/y",
                   "splice public: default: public addresses are allowed"},
        RequestRow{"deny a.com DELETE;allow a.com", "DELETE", "/", "deny denied: deny a.com DELETE (test) [denied]"},
        RequestRow{"deny a.com POST;allow a.com", "post", "/", "deny denied: deny a.com POST (test) [denied]"},
        RequestRow{"deny a.com POST /x", "pOsT", "/x", "deny denied: deny a.com POST /x (test) [denied]"},
        RequestRow{"deny .com /a;deny a.com /b", "GET", "/a", "deny denied: deny .com /a (test) [denied]"},
        RequestRow{"deny a.com /a;passthrough a.com", "GET", "/b", "splice listed: passthrough a.com (test)"},
        RequestRow{"observe;allow a.com GET", "POST", "/",
                   "splice request-not-listed: allow a.com GET (test) (would deny)"},
        RequestRow{"lock", "GET", "/", "deny not-listed: lockAllowlist: not listed [denied]"}));

struct LookupRow {
  const char* policy;
  const char* name;
  const char* decision;
};

class LookupTable : public testing::TestWithParam<LookupRow> {};

TEST_P(LookupTable, Holds) {
  const auto& row = GetParam();
  EXPECT_EQ(shown(decide_lookup(policy_of(row.policy), row.name)), row.decision) << row.policy << " " << row.name;
}

INSTANTIATE_TEST_SUITE_P(
    All, LookupTable,
    testing::Values(LookupRow{"broker", "a.com", "splice public: default: every name may be looked up"},
                    LookupRow{"broker", ".", "splice public: default: every name may be looked up"},
                    LookupRow{"off", "a.com", "splice off: mode off: nothing is judged"},
                    LookupRow{"deny .a.com", "x.A.com", "deny denied: deny .a.com (test) [denied]"},
                    LookupRow{"deny .a.com", "x\\046\\000y.a.com", "deny denied: deny .a.com (test) [denied]"},
                    LookupRow{"deny a.com:80", "a.com", "splice public: default: every name may be looked up"},
                    LookupRow{"deny a.com GET", "a.com", "splice public: default: every name may be looked up"},
                    LookupRow{"deny a.com;allow a.com", "a.com", "deny denied: deny a.com (test) [denied]"},
                    LookupRow{"lock", "a.com", "deny not-listed: lockAllowlist: not listed [denied]"},
                    LookupRow{"lock", "1.0.0.10.in-addr.arpa", "deny not-listed: lockAllowlist: not listed [denied]"},
                    LookupRow{"lock;allow a.com:443", "A.com", "splice listed: allow a.com:443 (test)"},
                    LookupRow{"lock;allow a.com", "x.a.com", "deny not-listed: lockAllowlist: not listed [denied]"},
                    LookupRow{"lock;passthrough .a.com", "_x._tcp.a.com", "splice listed: passthrough .a.com (test)"},
                    LookupRow{"observe", "a.com", "splice not-listed: lockAllowlist: not listed (would deny)"},
                    LookupRow{"observe;deny a.com", "a.com", "splice denied: deny a.com (test) (would deny)"}));

TEST(Words, AreThereForEveryReasonAndSignal) {
  for (int i = 0; i <= static_cast<int>(Reason::quic); ++i) EXPECT_NE(to_string(static_cast<Reason>(i)), "unknown");
  for (int i = 1; i <= static_cast<int>(Signal::unresolved_secret_ref); ++i) {
    EXPECT_NE(to_string(static_cast<Signal>(i)), "");
  }
}

}  // namespace
}  // namespace microagent::policy

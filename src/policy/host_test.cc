#include "policy/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

using testing::HasSubstr;

// What a text means: a canonical name, an address in <>, or "refused".
std::string meaning(std::string_view text) {
  const auto host = parse_host(text);
  if (!host) return "refused";
  return std::holds_alternative<Address>(*host) ? "<" + to_string(*host) + ">" : to_string(*host);
}

TEST(Host, HasOneCanonicalName) {
  for (const char* text : {"api.example.com", "API.Example.COM", "api.example.com.", "ａｐｉ.example.com",
                           "api。example．com", "api.example｡com"}) {
    EXPECT_EQ(meaning(text), "api.example.com") << text;
  }
  EXPECT_EQ(meaning("Bücher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(meaning("bu\xcc\x88"
                    "cher.example"),
            "xn--bcher-kva.example");  // decomposed
  EXPECT_EQ(meaning("XN--BCHER-KVA.example"), "xn--bcher-kva.example");
  EXPECT_EQ(meaning("straße.example"), "xn--strae-oqa.example");
  EXPECT_EQ(meaning("_dmarc.example.com"), "_dmarc.example.com");
  EXPECT_EQ(meaning("r3---sn-4g5.example.com"), "r3---sn-4g5.example.com");
  EXPECT_EQ(meaning("localhost"), "localhost");
  EXPECT_EQ(meaning("1.example"), "1.example");
  EXPECT_EQ(meaning("0x7f.example"), "0x7f.example");
}

TEST(Host, ReadsAddressesAsAddresses) {
  EXPECT_EQ(meaning("127.0.0.1"), "<127.0.0.1>");
  EXPECT_EQ(meaning("１２７.０.０.１"), "<127.0.0.1>");
  EXPECT_EQ(meaning("127。0。0。1"), "<127.0.0.1>");
  EXPECT_EQ(meaning("::1"), "<::1>");
  EXPECT_EQ(meaning("[::1]"), "<::1>");
  EXPECT_EQ(meaning("[::ffff:127.0.0.1]"), "<127.0.0.1>");
  EXPECT_EQ(meaning("::FFFF:7f00:1"), "<127.0.0.1>");
  EXPECT_EQ(meaning("[2001:DB8::1]"), "<2001:db8::1>");
}

// Every row of these is connected to 127.0.0.1 by some program.
TEST(Host, RefusesWhatOthersReadAsAnAddress) {
  for (const char* text : {"127.1", "127.0.1", "0x7f.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001",
                           "0177.0.0.1", "127.0.0.01", "127.0.0.1.", "127.0.0.0x1", "0x", "127.0.0.0x", "1.2.3.4.5",
                           "256.0.0.1", "１２７.１", "2130706433.", "example.127", "example.0x7f"}) {
    EXPECT_EQ(meaning(text), "refused") << text;
  }
}

TEST(Host, RefusesWhatIsCutElsewhereByOthers) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      "."sv,
                                      "a..b"sv,
                                      ".a"sv,
                                      "a.b.."sv,
                                      "evil.com\0.example.com"sv,
                                      "a b"sv,
                                      " a"sv,
                                      "a\n"sv,
                                      "a\r\nb"sv,
                                      "a%00b"sv,
                                      "%61.com"sv,
                                      "a％2e.com"sv,
                                      "user@host"sv,
                                      "host/path"sv,
                                      "ｈost／path"sv,
                                      "http://host"sv,
                                      "a\\b"sv,
                                      "a:80"sv,
                                      "a,b"sv,
                                      "*.a"sv,
                                      "a?b"sv,
                                      "a#b"sv,
                                      "℀.com"sv,
                                      "\xff.com"sv,
                                      "a\xc3"sv,
                                      "[::1"sv,
                                      "::1]"sv,
                                      "[a]"sv,
                                      "[127.0.0.1]"sv,
                                      "fe80::1%eth0"sv,
                                      "[fe80::1%25eth0]"sv,
                                      "::1%lo"sv,
                                      "1::2::3"sv,
                                      "\x7f"sv,
                                      "a\tb"sv}) {
    EXPECT_EQ(meaning(text), "refused") << text;
  }
}

TEST(Host, HasBounds) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  EXPECT_EQ(meaning(longest), longest);
  EXPECT_EQ(meaning(longest + "."), longest);
  EXPECT_EQ(meaning(longest + "a"), "refused");
  EXPECT_EQ(meaning(std::string(64, 'a')), "refused");
  EXPECT_EQ(meaning(std::string(100'000, 'a')), "refused");
  std::string umlauts;
  for (int i = 0; i < 60; ++i) umlauts += "ü";
  EXPECT_EQ(meaning(umlauts), "refused");  // longer than a label once it is an A-label
}

TEST(Host, SaysWhyWithoutRepeatingIt) {
  EXPECT_THAT(parse_host("127.1").error().message, HasSubstr("could be read as an IP address"));
  EXPECT_THAT(parse_host(std::string_view("a\0b", 3)).error().message, HasSubstr("zero byte"));
  EXPECT_EQ(parse_host("a b").error().kind, ErrorKind::usage);
}

TEST(Host, CanonicalFormsAreFixedPoints) {
  for (const char* text :
       {"API.example.com", "Bücher.example", "１２７.０.０.１", "[::ffff:10.0.0.1]", "[2001:DB8::1]"}) {
    const std::string once = to_string(*parse_host(text));
    EXPECT_EQ(to_string(*parse_host(once)), once);
  }
}

TEST(CanonicalName, IsNoAddress) {
  EXPECT_EQ(canonical_name("A.b"), "a.b");
  EXPECT_FALSE(canonical_name("127.0.0.1"));
  EXPECT_FALSE(canonical_name("a b"));
}

TEST(Authority, IsAHostWithOrWithoutPort) {
  const auto read = [](std::string_view text) -> std::string {
    const auto authority = parse_authority(text);
    if (!authority) return "refused";
    return to_string(authority->host) + (authority->port ? " " + std::to_string(*authority->port) : "");
  };
  EXPECT_EQ(read("Example.com"), "example.com");
  EXPECT_EQ(read("example.com:8080"), "example.com 8080");
  EXPECT_EQ(read("127.0.0.1:80"), "127.0.0.1 80");
  EXPECT_EQ(read("[::1]"), "::1");
  EXPECT_EQ(read("[::1]:443"), "::1 443");
  for (const char* text :
       {"", ":80", "example.com:", "example.com:0", "example.com:080", "example.com:65536", "example.com:http", "a:1:2",
        "::1", "::1:443", "[::1]443", "[::1]:", "[::1]:0", "user@example.com", "example.com:80 "}) {
    EXPECT_EQ(read(text), "refused") << text;
  }
}

TEST(ParentName, CutsTheFirstLabel) {
  EXPECT_EQ(parent_name("a.b.c"), "b.c");
  EXPECT_EQ(parent_name("c"), "");
  EXPECT_EQ(parent_name(""), "");
}

}  // namespace
}  // namespace microagent::policy

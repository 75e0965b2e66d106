#include "policy/token_url.h"

#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

TEST(TokenUrl, IsTakenApart) {
  const auto url = parse_token_url("https://Auth.Example.com:8443/oauth/token?x=1").value();
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.name, "auth.example.com");
  EXPECT_EQ(url.port, 8443);
  EXPECT_EQ(url.authority, "Auth.Example.com:8443");
  EXPECT_EQ(url.target, "/oauth/token?x=1");
  EXPECT_EQ(parse_token_url("https://a.example").value().target, "/");
  EXPECT_EQ(parse_token_url("https://a.example?q").value().target, "/?q");
  EXPECT_EQ(parse_token_url("https://a.example").value().port, 443);
  EXPECT_EQ(parse_token_url("https://[2001:db8::1]/t").value().name, "2001:db8::1");
}

TEST(TokenUrl, GoesWithoutTlsOnlyToTheLoopback) {
  EXPECT_EQ(parse_token_url("http://localhost:1/t").value().port, 1);
  EXPECT_FALSE(parse_token_url("http://127.0.0.1/t").value().tls);
  EXPECT_TRUE(parse_token_url("http://[::1]:80/t"));
  EXPECT_FALSE(parse_token_url("http://a.example/t"));
  EXPECT_FALSE(parse_token_url("http://127.0.0.1.example/t"));
  EXPECT_FALSE(parse_token_url("http://198.51.100.7/t"));
}

TEST(TokenUrl, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* text : {"", "auth.example", "ftp://a.example/", "https://", "https:///t", "https://user@a.example/",
                           "https://a.example/#f", "https://a.example/ x", "https://a.example/\r\nX: y",
                           "https://a.example:99999/", "https://a.example\\@b.example/"}) {
    EXPECT_FALSE(parse_token_url(text)) << text;
  }
}

}  // namespace
}  // namespace microagent::policy

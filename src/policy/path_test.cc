#include "policy/path.h"

#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

TEST(Path, IsComparedInOneForm) {
  EXPECT_EQ(canonical_path("/"), "/");
  EXPECT_EQ(canonical_path("/v1/models?key=secret"), "/v1/models");
  EXPECT_EQ(canonical_path("/v1/%6dodels/"), "/v1/models/");
  EXPECT_EQ(canonical_path("/a%3ab%c3%bc%20c"), "/a%3Ab%C3%BC%20c");
  EXPECT_EQ(canonical_path("/a;b=c/d"), "/a;b=c/d");
  EXPECT_EQ(canonical_path("/..a/.b/c.."), "/..a/.b/c..");
}

TEST(Path, IsRefusedWhereServersDisagree) {
  for (const char* target :
       {"",       "v1",          "*",         "http://host/", "/a/../b", "/a/..",  "/..",    "/./a",
        "/a/.",   "/a/%2e%2e/b", "/a/%2E./b", "//a",          "/a//b",   "/a//",   "/a%2fb", "/a%2Fb",
        "/a%5cb", "/a\\b",       "/a%00",     "/a%0ab",       "/a%",     "/a%4",   "/a%zz",  "/a%252e",
        "/a b",   "/a\nb",       "/a#b",      "/a/..;x/b",    "/a/;x",   "/a%09b", "/a\x7f"}) {
    EXPECT_FALSE(canonical_path(target)) << target;
  }
}

TEST(PathPattern, NamesOnePathOrWhatBeginsWithIt) {
  EXPECT_TRUE(matches_path(*parse_path_pattern("/v1/models"), "/v1/models"));
  EXPECT_FALSE(matches_path(*parse_path_pattern("/v1/models"), "/v1/models/x"));
  EXPECT_FALSE(matches_path(*parse_path_pattern("/v1/models"), "/v1/model"));
  EXPECT_TRUE(matches_path(*parse_path_pattern("/v1/*"), "/v1/models/x"));
  EXPECT_TRUE(matches_path(*parse_path_pattern("/v1/*"), "/v1/"));
  EXPECT_FALSE(matches_path(*parse_path_pattern("/v1/*"), "/v1"));
  EXPECT_TRUE(matches_path(*parse_path_pattern("/*"), "/"));
  EXPECT_EQ(*parse_path_pattern("/%6d"), "/m");
}

TEST(PathPattern, IsStrict) {
  for (const char* text : {"", "v1", "*", "/a/*/b", "/a?b", "/a/../b", "//", "/a b", "/**"}) {
    const auto pattern = parse_path_pattern(text);
    ASSERT_FALSE(pattern) << text;
    EXPECT_EQ(pattern.error().kind, ErrorKind::usage);
  }
  EXPECT_FALSE(parse_path_pattern("/" + std::string(5000, 'a')));
}

}  // namespace
}  // namespace microagent::policy

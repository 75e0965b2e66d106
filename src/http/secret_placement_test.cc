#include "http/secret_placement.h"

#include <gtest/gtest.h>

#include "base/base64.h"

namespace microagent::http {
namespace {

constexpr std::string_view kSecret = "s3cr+t/\"x";
constexpr std::string_view kPlaceholder = "PLACEHOLDER";

RequestMessage request(std::string target, HeaderList headers, Version version = Version::http_1_1) {
  RequestMessage message;
  message.method = "GET";
  message.target = std::move(target);
  message.version = version;
  message.headers = std::move(headers);
  return message;
}

policy::Placement in_header(std::string name = "Authorization", std::string before = "Bearer ") {
  policy::Placement placement;
  placement.header = std::move(name);
  placement.before = std::move(before);
  return placement;
}

policy::Placement in_query(std::string name) {
  policy::Placement placement;
  placement.query = std::move(name);
  return placement;
}

policy::Placement of_placeholder() {
  policy::Placement placement;
  placement.placeholder = kPlaceholder;
  return placement;
}

std::string with_parameter(const std::string& name, std::string target) {
  RequestMessage message = request(std::move(target), {});
  EXPECT_TRUE(place_secret(message, in_query(name), kSecret));
  return message.target;
}

TEST(SecretPlacement, SetsAHeaderThatWasNotThere) {
  RequestMessage message = request("/", {{"Accept", "*/*"}});
  ASSERT_TRUE(place_secret(message, in_header(), kSecret));
  ASSERT_EQ(message.headers.size(), 2u);
  EXPECT_EQ(message.headers[1], (Header{"Authorization", "Bearer " + std::string(kSecret), true}));
}

TEST(SecretPlacement, ReplacesEveryHeaderOfTheNameByOne) {
  RequestMessage message = request("/", {{"authorization", "Bearer mine"}, {"A", "1"}, {"AUTHORIZATION", "other"}});
  ASSERT_TRUE(place_secret(message, in_header(), kSecret));
  ASSERT_EQ(message.headers.size(), 2u);
  EXPECT_EQ(message.headers[0].name, "authorization");
  EXPECT_EQ(message.headers[0].value, "Bearer " + std::string(kSecret));
}

TEST(SecretPlacement, WritesNamesInLowerCaseInHttp2AndKeepsThemOutOfItsTables) {
  RequestMessage message = request("/", {}, Version::http_2);
  ASSERT_TRUE(place_secret(message, in_header("X-Api-Key", ""), kSecret));
  EXPECT_EQ(message.headers.at(0), (Header{"x-api-key", std::string(kSecret), true}));
}

TEST(SecretPlacement, MakesABasicCredential) {
  policy::Placement placement;
  placement.basic_user = "user";
  RequestMessage message = request("/", {{"Authorization", "Basic eDp5"}});
  ASSERT_TRUE(place_secret(message, placement, kSecret));
  EXPECT_EQ(message.headers.at(0).value, "Basic " + base64("user:" + std::string(kSecret)));
}

TEST(SecretPlacement, SetsOneParameterOfTheQuery) {
  const std::string key = "key=s3cr%2Bt%2F%22x";
  EXPECT_EQ(with_parameter("key", "/a"), "/a?" + key);
  EXPECT_EQ(with_parameter("key", "/a?"), "/a?" + key);
  EXPECT_EQ(with_parameter("key", "/a?b=c"), "/a?b=c&" + key);
  EXPECT_EQ(with_parameter("key", "/a?key=mine&b=c"), "/a?" + key + "&b=c");
  EXPECT_EQ(with_parameter("key", "/a?b=c&key&key=&d"), "/a?b=c&" + key + "&d");
  EXPECT_EQ(with_parameter("key", "http://a.example?x=?key=1"), "http://a.example?x=?key=1&" + key);
}

TEST(SecretPlacement, KnowsAParameterHoweverItIsWritten) {
  EXPECT_EQ(with_parameter("key", "/a?%6Bey=mine&k%65y=mine"), "/a?key=s3cr%2Bt%2F%22x");
  EXPECT_EQ(with_parameter("key", "/a?%6B%=1&key2=1&Key=1"), "/a?%6B%=1&key2=1&Key=1&key=s3cr%2Bt%2F%22x");
}

TEST(SecretPlacement, LeavesATargetAloneThatHasNoQuery) { EXPECT_EQ(with_parameter("key", "*"), "*"); }

TEST(SecretPlacement, ReplacesAPlaceholderWhereverItStandsInAHeader) {
  RequestMessage message = request("/PLACEHOLDER", {{"X-A", "aPLACEHOLDERbPLACEHOLDER"}, {"X-B", "PLACEHOLDE"}});
  EXPECT_TRUE(wants_secret(message, of_placeholder()));
  ASSERT_TRUE(place_secret(message, of_placeholder(), kSecret));
  EXPECT_EQ(message.headers[0].value, "a" + std::string(kSecret) + "b" + std::string(kSecret));
  EXPECT_TRUE(message.headers[0].never_index);
  EXPECT_EQ(message.headers[1], (Header{"X-B", "PLACEHOLDE"}));
  EXPECT_EQ(message.target, "/PLACEHOLDER");
}

TEST(SecretPlacement, ReplacesAPlaceholderWithinABasicCredential) {
  RequestMessage message = request("/", {{"Authorization", "basic " + base64("me:PLACEHOLDER")}});
  EXPECT_TRUE(wants_secret(message, of_placeholder()));
  ASSERT_TRUE(place_secret(message, of_placeholder(), kSecret));
  EXPECT_EQ(message.headers[0].value, "Basic " + base64("me:" + std::string(kSecret)));
}

TEST(SecretPlacement, NeverTouchesHeadersThatFrameARequest) {
  for (const char* name : {"Host", "Connection", "Transfer-Encoding", "content-length", "Upgrade"}) {
    RequestMessage message = request("/", {{name, std::string(kPlaceholder)}});
    EXPECT_FALSE(wants_secret(message, of_placeholder())) << name;
    ASSERT_TRUE(place_secret(message, of_placeholder(), kSecret));
    EXPECT_EQ(message.headers[0].value, kPlaceholder) << name;
  }
}

TEST(SecretPlacement, NeedsNoSecretWhereNoPlaceholderStands) {
  EXPECT_FALSE(wants_secret(request("/", {{"Authorization", "Basic !"}, {"A", "b"}}), of_placeholder()));
  EXPECT_TRUE(wants_secret(request("/", {}), in_header()));
  EXPECT_TRUE(wants_secret(request("/", {}), in_query("key")));
}

TEST(SecretPlacement, RefusesAHeadThatBecomesTooLong) {
  std::string many;
  for (int i = 0; i < 1000; ++i) many += kPlaceholder;
  RequestMessage message = request("/", {{"X", many}});
  EXPECT_FALSE(place_secret(message, of_placeholder(), std::string(1000, 's')));
}

TEST(SecretPlacement, RefusesASecretThatNoHeaderMayHold) {
  RequestMessage message = request("/", {});
  EXPECT_FALSE(place_secret(message, in_header(), "a\r\nHost: evil.example"));
}

TEST(AskReadable, LeavesWhatCanBeLookedThrough) {
  const auto asked = [](std::string value) {
    RequestMessage message = request("/", {{"Accept-Encoding", std::move(value)}});
    ask_readable(message, {});
    return std::string(header_value(message.headers, "accept-encoding"));
  };
  EXPECT_EQ(asked("gzip, deflate, br,zstd"), "gzip, deflate, br,zstd");
  EXPECT_EQ(asked("gzip;q=0.5,dcb, br;q=1"), "gzip;q=0.5, br;q=1");
  EXPECT_EQ(asked("*"), "identity");
  EXPECT_EQ(asked("compress"), "identity");
  EXPECT_EQ(asked(""), "");
}

TEST(AskReadable, LetsNobodyCollectASecretInParts) {
  const HeaderList headers{{"Range", "bytes=0-6"},
                           {"If-Range", "\"a\""},
                           {"grpc-accept-encoding", "gzip"},
                           {"Sec-WebSocket-Extensions", "permessage-deflate"}};
  RequestMessage message = request("/", headers);
  ask_readable(message, in_header());
  EXPECT_EQ(message.headers.size(), 2u);
  policy::Placement in_body;
  in_body.placeholder = kPlaceholder;
  in_body.in_body = true;
  ask_readable(message, in_body);
  EXPECT_TRUE(message.headers.empty());
}

TEST(TextKind, IsOfTextJsonAndForms) {
  const auto kind = [](std::string type, std::string coding = {}) {
    HeaderList headers{{"content-type", std::move(type)}};
    if (!coding.empty()) headers.push_back({"content-encoding", std::move(coding)});
    return text_kind(headers);
  };
  EXPECT_EQ(kind("text/plain; charset=utf-8"), TextKind::plain);
  EXPECT_EQ(kind("Application/JSON"), TextKind::json);
  EXPECT_EQ(kind("application/vnd.api+json"), TextKind::json);
  EXPECT_EQ(kind("application/x-www-form-urlencoded"), TextKind::form);
  EXPECT_EQ(kind("application/octet-stream"), std::nullopt);
  EXPECT_EQ(kind("application/json", "gzip"), std::nullopt);
  EXPECT_EQ(text_kind({}), std::nullopt);
}

TEST(ReplaceInBody, WritesTheSecretAsTheBodyWouldHave) {
  const auto body = [](TextKind kind, std::string_view text) {
    return replace_in_body(kind, text, kPlaceholder, kSecret);
  };
  EXPECT_EQ(body(TextKind::plain, "a PLACEHOLDER b"), "a " + std::string(kSecret) + " b");
  EXPECT_EQ(body(TextKind::json, "{\"k\":\"PLACEHOLDER\"}"), "{\"k\":\"s3cr+t/\\\"x\"}");
  EXPECT_EQ(body(TextKind::form, "k=PLACEHOLDER&l=PLACEHOLDER"), "k=s3cr%2Bt%2F%22x&l=s3cr%2Bt%2F%22x");
  EXPECT_FALSE(holds_placeholder(TextKind::json, "{}", kPlaceholder));
  EXPECT_TRUE(holds_placeholder(TextKind::form, "k=%7B%7BKEY%7D%7D", "{{KEY}}"));
  EXPECT_EQ(replace_in_body(TextKind::form, "k=%7B%7BKEY%7D%7D", "{{KEY}}", "abc"), "k=abc");
}

TEST(ReplaceInBody, LetsNoBodyGrowWithoutBound) {
  const std::string secret(1024, 's');
  std::string text;
  while (text.size() + kPlaceholder.size() <= kMaxSwappedBody) text += kPlaceholder;
  EXPECT_EQ(replace_in_body(TextKind::plain, text, kPlaceholder, secret), std::nullopt);
  const std::string some = text.substr(0, kPlaceholder.size() * 1024);
  EXPECT_EQ(replace_in_body(TextKind::plain, some, kPlaceholder, secret), std::string(1024 * 1024, 's'));
}

}  // namespace
}  // namespace microagent::http

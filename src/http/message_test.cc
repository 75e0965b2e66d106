#include "http/message.h"

#include <gtest/gtest.h>

#include "http/head_reader.h"
#include "http/test_text.h"

namespace microagent::http {
namespace {

RequestMessage request(std::string method, HeaderList headers = {}, Version version = Version::http_1_1) {
  RequestMessage out;
  out.method = std::move(method);
  out.version = version;
  out.headers = std::move(headers);
  return out;
}

ResponseMessage response(std::uint16_t status, HeaderList headers = {}, Version version = Version::http_1_1) {
  return {status, "", version, std::move(headers)};
}

TEST(Framing, OfResponses) {
  using Kind = Framing::Kind;
  const HeaderList length{{"content-length", "5"}}, chunked{{"Transfer-Encoding", "Chunked"}}, none;
  struct Case {
    std::string method;
    std::uint16_t status;
    HeaderList headers;
    Framing framing;
  };
  const Case cases[] = {
      {"GET", 200, length, {Kind::length, 5}},
      {"GET", 200, chunked, {Kind::chunked}},
      {"GET", 200, none, {Kind::until_close}},
      {"HEAD", 200, length, {}},
      {"HEAD", 200, chunked, {}},
      {"GET", 304, length, {}},
      {"GET", 304, chunked, {}},
      {"GET", 204, none, {}},
      {"GET", 100, none, {}},
      {"GET", 103, none, {}},
      {"GET", 101, none, {Kind::tunnel}},
      {"POST", 500, length, {Kind::length, 5}},
      {"GET", 200, {{"Content-Length", "0"}}, {}},
      {"head", 200, length, {Kind::length, 5}},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(response_framing(request(one.method), response(one.status, one.headers)), one.framing)
        << one.method << one.status;
  }
}

TEST(Message, SaysWhatMayBeSentAgain) {
  EXPECT_TRUE(may_repeat(request("GET")));
  EXPECT_TRUE(may_repeat(request("DELETE", {{"Content-Length", "0"}})));
  EXPECT_FALSE(may_repeat(request("POST")));
  EXPECT_FALSE(may_repeat(request("PATCH")));
  EXPECT_FALSE(may_repeat(request("PUT", {{"Content-Length", "5"}})));
  EXPECT_FALSE(may_repeat(request("GET", {{"Transfer-Encoding", "chunked"}})));
  EXPECT_FALSE(may_repeat(request("GET", {{"Connection", "upgrade"}, {"Upgrade", "websocket"}})));
}

TEST(Framing, A101MustHaveBeenAskedFor) {
  const auto ask = [](std::string upgrade, std::string connection) {
    return request("GET", {{"Connection", std::move(connection)}, {"Upgrade", std::move(upgrade)}});
  };
  const ResponseMessage yes = response(101, {{"connection", "Upgrade"}, {"upgrade", "WebSocket"}});
  EXPECT_EQ(check_response(ask("websocket", "keep-alive, Upgrade"), yes), MessageFault::none);
  EXPECT_EQ(check_response(ask("a, websocket", "upgrade"), yes), MessageFault::none);
  EXPECT_EQ(check_response(ask("websocket", "notupgrade"), yes), MessageFault::unasked_upgrade);
  EXPECT_EQ(check_response(ask("other", "upgrade"), yes), MessageFault::unasked_upgrade);
  EXPECT_EQ(check_response(request("GET"), yes), MessageFault::unasked_upgrade);
  EXPECT_EQ(check_response(ask("websocket", "upgrade"), response(101)), MessageFault::unasked_upgrade);
  EXPECT_EQ(check_response(request("GET"), response(200)), MessageFault::none);
}

TEST(Persistence, EndsWhereEitherSideSaysSo) {
  const HeaderList length{{"Content-Length", "1"}};
  const auto with = [&](std::string connection) {
    HeaderList headers = length;
    headers.push_back({"Connection", std::move(connection)});
    return headers;
  };
  constexpr Version k10 = Version::http_1_0;
  EXPECT_TRUE(keeps_alive(request("GET"), response(200, length)));
  EXPECT_FALSE(keeps_alive(request("GET", {{"connection", "x, CLOSE"}}), response(200, length)));
  EXPECT_FALSE(keeps_alive(request("GET"), response(200, with("close"))));
  EXPECT_FALSE(keeps_alive(request("GET"), response(200)));  // until its end
  EXPECT_FALSE(keeps_alive(request("GET", {}, k10), response(200, length)));
  EXPECT_FALSE(keeps_alive(request("GET", {{"Connection", "keep-alive"}}, k10), response(200, length, k10)));
  EXPECT_TRUE(keeps_alive(request("GET", {{"Connection", "keep-alive"}}, k10), response(200, with("keep-alive"), k10)));
}

TEST(Headers, AreSetInTheirPlace) {
  HeaderList headers{{"A", "1"}, {"x-KEY", "old"}, {"B", "2"}, {"X-Key", "older"}};
  ASSERT_TRUE(set_header(headers, "X-Key", "new"));
  EXPECT_EQ(headers, (HeaderList{{"A", "1"}, {"x-KEY", "new"}, {"B", "2"}}));
  ASSERT_TRUE(set_header(headers, "C", "3"));
  EXPECT_EQ(headers.back(), (Header{"C", "3"}));
  const HeaderList before = headers;
  for (const std::string& value :
       {std::string("a\r\nb"), std::string("a\nb"), std::string(" a"), std::string("a "), std::string("a\0b", 3)}) {
    EXPECT_FALSE(set_header(headers, "C", value)) << value;
  }
  EXPECT_FALSE(set_header(headers, "C d", "x"));
  EXPECT_FALSE(set_header(headers, "", "x"));
  EXPECT_EQ(headers, before);
  EXPECT_EQ(remove_header(headers, "b"), 1u);
  EXPECT_EQ(find_header(headers, "B"), nullptr);
}

TEST(Headers, ListsAreComparedByWord) {
  const HeaderList headers{{"Connection", "notupgrade , Keep-Alive,,"}, {"connection", "upgrade"}};
  EXPECT_TRUE(lists_word(headers, "connection", "keep-alive"));
  EXPECT_TRUE(lists_word(headers, "Connection", "Upgrade"));
  EXPECT_FALSE(lists_word({headers[0]}, "Connection", "upgrade"));
}

TEST(Message, SeesWhatTheRelayMustKnow) {
  EXPECT_TRUE(expects_continue(request("PUT", {{"Expect", "100-Continue"}})));
  EXPECT_FALSE(expects_continue(request("PUT", {{"Expect", "100-continue"}}, Version::http_1_0)));
  EXPECT_TRUE(is_interim(response(103)));
  EXPECT_FALSE(is_interim(response(101)));
  EXPECT_FALSE(is_interim(response(200)));
}

}  // namespace
}  // namespace microagent::http

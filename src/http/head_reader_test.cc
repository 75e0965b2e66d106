#include "http/head_reader.h"

#include <gtest/gtest.h>

#include "http/test_text.h"

namespace microagent::http {
namespace {

using namespace std::string_view_literals;
using State = HeadReader::State;
using Fault = MessageFault;

// What a reader makes of a text that comes in pieces of one size; all sizes must agree.
template <typename Reader, typename... Args>
Fault fault_of(std::string_view text, Args... args) {
  Reader whole(args...);
  whole.feed(bytes_of_text(text));
  Reader single(args...);
  for (std::size_t at = 0; at < text.size(); ++at) single.feed(bytes_of_text(text.substr(at, 1)));
  EXPECT_EQ(whole.state(), single.state()) << text;
  EXPECT_EQ(whole.fault(), single.fault()) << text;
  EXPECT_NE(whole.state(), State::incomplete) << text;
  return whole.fault();
}

struct Case {
  std::string_view text;
  Fault fault;
};

// "H" stands for a Host line.
std::string with_host(std::string_view text) {
  std::string out(text);
  for (std::size_t at = 0; (at = out.find("\nH\r", at)) != std::string::npos;) {
    out.replace(at + 1, 1, "Host: a.example");
  }
  return out;
}

void expect_faults(std::span<const Case> cases) {
  for (const auto& [text, fault] : cases) {
    EXPECT_EQ(to_string(fault_of<RequestReader>(with_host(text), Scheme::https)), to_string(fault)) << text;
  }
}

TEST(RequestReader, RefusesBadRequestLines) {
  constexpr Case kCases[] = {
      {"\r\nGET / HTTP/1.1\r\nH\r\n\r\n", Fault::blank_before_head},
      {"\nGET / HTTP/1.1\r\nH\r\n\r\n", Fault::bad_character},
      {"GET  / HTTP/1.1\r\n", Fault::bad_request_line},
      {"GET /  HTTP/1.1\r\n", Fault::bad_request_line},
      {"GET / HTTP/1.1 \r\n", Fault::bad_request_line},
      {" GET / HTTP/1.1\r\n", Fault::bad_request_line},
      {"GET / a HTTP/1.1\r\n", Fault::bad_request_line},
      {"GET\t/\tHTTP/1.1\r\n", Fault::bad_request_line},
      {"GET /\tHTTP/1.1\r\n", Fault::bad_request_line},
      {"GET /\r\n", Fault::bad_request_line},
      {"GET\r\n", Fault::bad_request_line},
      {"G(T / HTTP/1.1\r\n", Fault::bad_request_line},
      {"G\xc3\x84T / HTTP/1.1\r\n", Fault::bad_request_line},
      {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n", Fault::bad_request_line},
      {"GET / HTTP/1.1\n", Fault::bad_character},
      {"GET / HTTP/1.1\rHost: a.example\r\n\r\n", Fault::bad_character},
      {"GET / HTTP/1.1\r\r\n", Fault::bad_character},
      {"GET /\0 HTTP/1.1\r\n"sv, Fault::bad_character},
      {"GET /\x7f HTTP/1.1\r\n", Fault::bad_character},
      {"GET /\x0b HTTP/1.1\r\n", Fault::bad_character},
      {"\x16\x03\x01\x02", Fault::bad_character},
      {"GET / HTTP/1.2\r\n", Fault::bad_version},
      {"GET / HTTP/2.0\r\n", Fault::bad_version},
      {"GET / HTTP/0.9\r\n", Fault::bad_version},
      {"GET / HTTP/1.01\r\n", Fault::bad_version},
      {"GET / HTTP/01.1\r\n", Fault::bad_version},
      {"GET / http/1.1\r\n", Fault::bad_version},
      {"GET / HTTPS/1.1\r\n", Fault::bad_version},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fault::bad_version},
      {"CONNECT a.example:443 HTTP/1.1\r\nH\r\n\r\n", Fault::connect},
      {"connect / HTTP/1.1\r\nH\r\n\r\n", Fault::connect},
      {"GET a HTTP/1.1\r\nH\r\n\r\n", Fault::bad_target},
      {"GET * HTTP/1.1\r\nH\r\n\r\n", Fault::bad_target},
      {"GET a.example:443 HTTP/1.1\r\nH\r\n\r\n", Fault::bad_target},
      {"GET /a#b HTTP/1.1\r\nH\r\n\r\n", Fault::bad_target},
      {"GET ?a HTTP/1.1\r\nH\r\n\r\n", Fault::bad_target},
      {"GET ftp://a.example/ HTTP/1.1\r\nH\r\n\r\n", Fault::bad_target},
      {"GET https:/a HTTP/1.1\r\nH\r\n\r\n", Fault::bad_target},
      {"GET http://a.example/ HTTP/1.1\r\nH\r\n\r\n", Fault::scheme_differs},
      {"GET https:///a HTTP/1.1\r\nH\r\n\r\n", Fault::bad_host},
      {"GET https://u@a.example/ HTTP/1.1\r\nH\r\n\r\n", Fault::bad_host},
      {"GET https://a.example:0/ HTTP/1.1\r\nH\r\n\r\n", Fault::bad_host},
      {"GET https://a.example\\@b.example/ HTTP/1.1\r\nH\r\n\r\n", Fault::bad_host},
  };
  expect_faults(kCases);
}

TEST(RequestReader, RefusesBadHeaders) {
  constexpr Case kCases[] = {
      {"GET / HTTP/1.1\r\nH\r\nA : b\r\n\r\n", Fault::bad_header},
      {"GET / HTTP/1.1\r\nH\r\nA\t: b\r\n\r\n", Fault::bad_header},
      {"GET / HTTP/1.1\r\nH\r\n: b\r\n\r\n", Fault::bad_header},
      {"GET / HTTP/1.1\r\nH\r\nA\r\n\r\n", Fault::bad_header},
      {"GET / HTTP/1.1\r\nH\r\nA b: c\r\n\r\n", Fault::bad_header},
      {"GET / HTTP/1.1\r\nH\r\nA\xe2\x80\x8b: c\r\n\r\n", Fault::bad_header},
      {"GET / HTTP/1.1\r\nH\r\n\"A\": c\r\n\r\n", Fault::bad_header},
      {"GET / HTTP/1.1\r\nH\r\nA: b\r\n c\r\n\r\n", Fault::folded_header},
      {"GET / HTTP/1.1\r\nH\r\nA: b\r\n\tc\r\n\r\n", Fault::folded_header},
      {"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n", Fault::folded_header},
      {"GET / HTTP/1.1\r\nH\r\n \r\n\r\n", Fault::folded_header},
      {"GET / HTTP/1.1\r\nH\r\nA: b\n\r\n", Fault::bad_character},
      {"GET / HTTP/1.1\r\nH\r\nA: b\rB: c\r\n\r\n", Fault::bad_character},
      {"GET / HTTP/1.1\r\nH\r\nA: b\0\r\n\r\n"sv, Fault::bad_character},
      {"GET / HTTP/1.1\r\nH\r\nA\0: b\r\n\r\n"sv, Fault::bad_character},
      {"GET / HTTP/1.1\r\nH\r\nA: b\x0b\r\n\r\n", Fault::bad_character},
      {"GET / HTTP/1.1\r\nH\r\nA: \x1b[0m\r\n\r\n", Fault::bad_character},
      {"GET / HTTP/1.1\r\nH\r\n\n", Fault::bad_character},
      {"GET / HTTP/1.1\r\nH\r\n\r\r\n", Fault::bad_character},
      {"GET / HTTP/1.1\r\nH\r\n\rX", Fault::bad_character},
      {"GET / HTTP/1.1\r\n\r\n", Fault::no_host},
      {"GET https://a.example/ HTTP/1.0\r\n\r\n", Fault::no_host},
      {"GET / HTTP/1.0\r\nHost:\r\n\r\n", Fault::bad_host},
      {"GET https://a.example/ HTTP/1.1\r\n\r\n", Fault::no_host},
      {"GET / HTTP/1.1\r\nH\r\nH\r\n\r\n", Fault::several_hosts},
      {"GET / HTTP/1.1\r\nH\r\nhOST: b.example\r\n\r\n", Fault::several_hosts},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", Fault::bad_host},
      {"GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", Fault::bad_host},
      {"GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n", Fault::bad_host},
      {"GET / HTTP/1.1\r\nHost: u@a.example\r\n\r\n", Fault::bad_host},
      {"GET / HTTP/1.1\r\nHost: a.example:443:80\r\n\r\n", Fault::bad_host},
      {"GET / HTTP/1.1\r\nHost: a.example:99999\r\n\r\n", Fault::bad_host},
      {"GET / HTTP/1.1\r\nHost: a%2eexample\r\n\r\n", Fault::bad_host},
      {"GET / HTTP/1.1\r\nHost: https://a.example\r\n\r\n", Fault::bad_host},
      {"GET https://b.example/ HTTP/1.1\r\nH\r\n\r\n", Fault::host_differs},
      {"GET https://a.example:80/ HTTP/1.1\r\nH\r\n\r\n", Fault::host_differs},
      {"GET / HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", Fault::http_upgrade},
      {"GET / HTTP/1.1\r\nH\r\nUpgrade: websocket, H2C\r\n\r\n", Fault::http_upgrade},
      {"GET / HTTP/1.1\r\nH\r\nUpgrade: h2c-14\r\n\r\n", Fault::http_upgrade},
      {"GET / HTTP/1.1\r\nH\r\nUpgrade: HTTP/2.0\r\n\r\n", Fault::http_upgrade},
      {"GET / HTTP/1.1\r\nH\r\nUpgrade: TLS/1.2\r\n\r\n", Fault::http_upgrade},
      {"GET / HTTP/1.1\r\nH\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", Fault::http_upgrade},
  };
  expect_faults(kCases);
}

// What Java's client and `curl --http2` send over plain HTTP.
TEST(RequestReader, IgnoresUpgradesThatWouldHideRequestsInTheClear) {
  constexpr std::pair<std::string_view, std::string_view> kCases[] = {
      {"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", ""},
      {"Connection: keep-alive, upgrade\r\nUpgrade: H2C\r\n", "Connection: keep-alive\r\n"},
      {"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n"},
      {"Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/2.0\r\nUpgrade: h2c-14\r\n", ""},
      {"HTTP2-Settings: AAMAAABk\r\n", ""},
      {"Connection: Upgrade ,x\r\nUpgrade: a,b\r\n", "Connection: Upgrade ,x\r\nUpgrade: a,b\r\n"},
  };
  for (const auto& [came, goes] : kCases) {
    const std::string begin = "GET / HTTP/1.1\r\nHost: a.example\r\n";
    RequestReader reader(Scheme::http);
    reader.feed(bytes_of_text(begin + std::string(came) + "\r\n"));
    ASSERT_EQ(reader.state(), State::complete) << came;
    EXPECT_EQ(encode_head(reader.message()), begin + std::string(goes) + "\r\n") << came;
  }
}

TEST(RequestReader, RefusesEveryDoubtAboutTheEnd) {
  constexpr Case kCases[] = {
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::length_and_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", Fault::length_and_coding},
      {"POST / HTTP/1.0\r\nH\r\ntransfer-encoding: x\r\ncontent-length: 1\r\n\r\n", Fault::length_and_coding},
      {"POST / HTTP/1.0\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::coding_not_allowed},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: identity\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding:\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked,\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: ,chunked\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: xchunked\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
       Fault::unknown_coding},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: \x0b"
       "chunked\r\n\r\n",
       Fault::bad_character},
      {"POST / HTTP/1.1\r\nH\r\nTransfer-Encoding : chunked\r\n\r\n", Fault::bad_header},
      {"POST / HTTP/1.1\r\nH\r\nTransfer_Encoding: chunked\r\n\r\n", Fault::look_alike},
      {"POST / HTTP/1.1\r\nH\r\ncontent_length: 4\r\n\r\n", Fault::look_alike},
      {"POST / HTTP/1.1\r\nH\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n", Fault::folded_header},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Fault::several_lengths},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1\r\nCONTENT-LENGTH: 2\r\n\r\n", Fault::several_lengths},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1, 1\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1,2\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length:\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: +1\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: -1\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 0x10\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 010\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1 0\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1_0\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1.0\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1e1\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: \xd9\xa1\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 9223372036854775808\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 18446744073709551617\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1;\r\n\r\n", Fault::bad_length},
      {"POST / HTTP/1.1\r\nH\r\nContent-Length: 1\r\nConnection: close, Content-Length\r\n\r\n",
       Fault::connection_names_framing},
      {"GET / HTTP/1.1\r\nH\r\nConnection: host\r\n\r\n", Fault::connection_names_framing},
      {"GET / HTTP/1.1\r\nH\r\nConnection: keep-alive\r\nConnection: Transfer-Encoding\r\n\r\n",
       Fault::connection_names_framing},
  };
  expect_faults(kCases);
}

TEST(RequestReader, IsBounded) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a.example\r\n";
  EXPECT_EQ(fault_of<RequestReader>(start + "A: " + std::string(kMaxMessageHead, 'x'), Scheme::https), Fault::too_long);
  std::string many = start;
  for (std::size_t i = 0; i < kMaxHeaders; ++i) many += "A: b\r\n";
  EXPECT_EQ(fault_of<RequestReader>(many + "\r\n", Scheme::https), Fault::too_many_headers);
  many.erase(start.size(), 6);
  EXPECT_EQ(fault_of<RequestReader>(many + "\r\n", Scheme::https), Fault::none);
  // The longest that is let through.
  std::string longest = start + "A: ";
  longest += std::string(kMaxMessageHead - longest.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_EQ(fault_of<RequestReader>(longest, Scheme::https), Fault::none);
}

TEST(RequestReader, GivesBackEveryByteAndLeavesTheRest) {
  constexpr std::string_view kHead =
      "POST /a?b=c HTTP/1.1\r\nHost: A.example:443\r\nx-B: 1\r\nX-b: 2, \xc3\xa4\r\nEmpty: \r\nContent-Length: "
      "3\r\n\r\n";
  const std::string text = std::string(kHead) + "abcGET / HTTP/1.1\r\n";
  RequestReader reader(Scheme::https);
  EXPECT_FALSE(reader.is_begun());
  EXPECT_EQ(reader.feed(bytes_of_text(text)), kHead.size());
  ASSERT_EQ(reader.state(), State::complete);
  EXPECT_EQ(encode_head(reader.message()), kHead);
  EXPECT_EQ(reader.message().path, "/a");
  EXPECT_EQ(reader.message().authority, (Authority{"A.example", std::nullopt, 443}));
  EXPECT_EQ(request_framing(reader.message()), (Framing{Framing::Kind::length, 3}));
  // And the next one.
  reader.take();
  EXPECT_FALSE(reader.is_begun());
  reader.feed(bytes_of_text("GET /2 HTTP/1.1\r\nHost: a.example\r\n\r\n"));
  ASSERT_EQ(reader.state(), State::complete);
  EXPECT_EQ(reader.message().target, "/2");
  EXPECT_EQ(reader.message().headers.size(), 1u);
  EXPECT_EQ(request_framing(reader.message()), Framing{});
}

TEST(RequestReader, TakesARequestOfHttp10ThatNamesNobody) {
  RequestReader reader(Scheme::https);
  reader.feed(bytes_of_text("GET /a HTTP/1.0\r\nA: b\r\n\r\n"));
  ASSERT_EQ(reader.state(), State::complete) << to_string(reader.fault());
  EXPECT_EQ(reader.message().authority, Authority{});
}

TEST(RequestReader, TakesAbsoluteTargets) {
  RequestReader reader(Scheme::https);
  reader.feed(bytes_of_text("GET https://a.example?q HTTP/1.1\r\nHost: A.EXAMPLE:443\r\n\r\n"));
  ASSERT_EQ(reader.state(), State::complete) << to_string(reader.fault());
  EXPECT_EQ(reader.message().path, "/");
  EXPECT_EQ(reader.message().target, "https://a.example?q");
}

TEST(RequestReader, EveryPrefixIsIncomplete) {
  constexpr std::string_view kText = "PUT /x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: Chunked\r\n\r\n";
  for (std::size_t size = 0; size < kText.size(); ++size) {
    RequestReader reader(Scheme::https);
    EXPECT_EQ(reader.feed(bytes_of_text(kText.substr(0, size))), size);
    EXPECT_EQ(reader.state(), State::incomplete) << size;
    reader.feed(bytes_of_text(kText.substr(size)));
    EXPECT_EQ(reader.state(), State::complete) << size;
    EXPECT_EQ(request_framing(reader.message()).kind, Framing::Kind::chunked);
  }
}

TEST(ResponseReader, RefusesBadHeads) {
  constexpr Case kCases[] = {
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", Fault::blank_before_head},
      {"HTTP/1.1 200 OK\n\r\n", Fault::bad_character},
      {"HTTP/2 200 OK\r\n\r\n", Fault::bad_version},
      {"ICY 200 OK\r\n\r\n", Fault::bad_version},
      {"HTTP/1.1  200 OK\r\n\r\n", Fault::bad_status_line},
      {"HTTP/1.1 20 OK\r\n\r\n", Fault::bad_status_line},
      {"HTTP/1.1 2000 OK\r\n\r\n", Fault::bad_status_line},
      {"HTTP/1.1 099 OK\r\n\r\n", Fault::bad_status_line},
      {"HTTP/1.1 +20 OK\r\n\r\n", Fault::bad_status_line},
      {"HTTP/1.1\r\n\r\n", Fault::bad_status_line},
      {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Fault::folded_header},
      {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Fault::bad_header},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::length_and_coding},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::coding_not_allowed},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Fault::unknown_coding},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Fault::several_lengths},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", Fault::bad_length},
      {"HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n", Fault::length_not_allowed},
      {"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::coding_not_allowed},
      {"HTTP/1.1 100 Go\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::coding_not_allowed},
      {"HTTP/1.1 101 Go\r\nContent-Length: 5\r\n\r\n", Fault::length_not_allowed},
  };
  for (const auto& [text, fault] : kCases) {
    EXPECT_EQ(to_string(fault_of<ResponseReader>(text)), to_string(fault)) << text;
  }
}

TEST(ResponseReader, GivesBackEveryByte) {
  constexpr std::string_view kHead =
      "HTTP/1.1 404 Not \xc3\xa4 Found\r\nB: 1\r\na: 2\r\nSet-Cookie: x\r\nSet-Cookie: y\r\n\r\n";
  ResponseReader reader;
  EXPECT_EQ(reader.feed(bytes_of_text(kHead)), kHead.size());
  ASSERT_EQ(reader.state(), State::complete);
  EXPECT_EQ(encode_head(reader.message()), kHead);
  ResponseReader bare;
  bare.feed(bytes_of_text("HTTP/1.1 200\r\n\r\n"));
  ASSERT_EQ(bare.state(), State::complete);
  EXPECT_EQ(encode_head(bare.message()), "HTTP/1.1 200 \r\n\r\n");
}

}  // namespace
}  // namespace microagent::http

#include "http/request_head.h"

#include <gtest/gtest.h>

#include <random>

namespace microagent::http {
namespace {

using namespace std::string_view_literals;
using State = RequestHeadReader::State;
using Fault = HeadFault;

ByteView bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

RequestHeadReader read(std::string_view text) {
  RequestHeadReader reader;
  reader.feed(bytes(text));
  return reader;
}

std::string host_of(std::string_view text) {
  const RequestHeadReader reader = read(text);
  EXPECT_EQ(reader.state(), State::complete) << text << to_string(reader.fault());
  return reader.head().authority ? reader.head().authority->host : "-";
}

Fault fault_of(std::string_view text) {
  const RequestHeadReader reader = read(text);
  EXPECT_EQ(reader.state(), State::failed) << text;
  return reader.fault();
}

TEST(RequestHead, TellsWhomARequestIsFor) {
  const RequestHeadReader reader =
      read("POST /a/b?secret=1 HTTP/1.1\r\nAccept: application/json\r\nhOsT: api.example.com:8080 \r\n\r\nbody");
  ASSERT_EQ(reader.state(), State::complete);
  const RequestHead& head = reader.head();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/a/b");
  EXPECT_EQ(head.authority->host, "api.example.com");
  EXPECT_EQ(head.authority->port, 8080);
  EXPECT_TRUE(head.wants_json);
  EXPECT_FALSE(head.http_1_0);
}

TEST(RequestHead, TakesEveryFormOfTarget) {
  EXPECT_EQ(host_of("GET http://a.example HTTP/1.1\r\nHost: A.example\r\n\r\n"), "A.example");
  EXPECT_EQ(read("GET HTTP://a.example?q HTTP/1.1\r\nHost: a.example:80\r\n\r\n").head().path, "/");
  EXPECT_EQ(read("OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n").head().path, "*");
  EXPECT_EQ(host_of("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"), "a.example");
  EXPECT_EQ(host_of("GET http://a.example/ HTTP/1.0\r\n\r\n"), "a.example");
  EXPECT_EQ(host_of("GET / HTTP/1.0\r\n\r\n"), "-");
  EXPECT_EQ(host_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "-");
}

TEST(RequestHead, TakesAddresses) {
  EXPECT_EQ(read("GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n").head().authority->address,
            policy::parse_address("192.0.2.1"));
  EXPECT_EQ(read("GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n").head().authority->address,
            policy::parse_address("2001:db8::1"));
}

TEST(RequestHead, IsTheSameInAnyPieces) {
  constexpr std::string_view kText = "GET /x HTTP/1.1\r\nHost: a.example\r\nX: y\r\n\r\n";
  for (std::size_t piece = 1; piece < kText.size(); ++piece) {
    RequestHeadReader reader;
    for (std::size_t at = 0; at < kText.size(); at += piece) {
      EXPECT_EQ(reader.state(), State::incomplete);
      reader.feed(bytes(kText.substr(at, piece)));
    }
    ASSERT_EQ(reader.state(), State::complete);
    EXPECT_EQ(reader.head().authority->host, "a.example");
  }
}

TEST(RequestHead, EveryPrefixIsIncomplete) {
  constexpr std::string_view kText = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";
  for (std::size_t size = 0; size < kText.size(); ++size) {
    EXPECT_EQ(read(kText.substr(0, size)).state(), State::incomplete) << size;
  }
}

TEST(RequestHead, TellsOtherProtocolsApart) {
  for (const std::string_view text :
       {"\x16\x03\x01"sv, "\0"sv, "EHLO client.example\r\n"sv, "SSH-2.0-OpenSSH_9.2\r\n"sv, "HELP\r\n"sv,
        " GET / HTTP/1.1\r\n\r\n"sv, "GET /\r\n"sv, "NICK x\r\nUSER y\r\n"sv, "*3\r\n$3\r\nSET\r\n"sv, "GET \x01"sv,
        "HTTP/1.1 200 OK\r\n"sv, "AVERYLONGWORDTHATISNOMETHODOFHTTP"sv}) {
    EXPECT_EQ(fault_of(text), Fault::not_http) << text;
  }
}

TEST(RequestHead, RefusesALineInFrontOfTheRequest) {
  EXPECT_EQ(fault_of("\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), Fault::blank_before_request);
  EXPECT_EQ(fault_of("\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), Fault::blank_before_request);
  EXPECT_EQ(fault_of("\r\n\r\nEHLO x\r\n"), Fault::not_http);
}

TEST(RequestHead, RefusesOtherLineEnds) {
  EXPECT_EQ(fault_of("GET / HTTP/1.1\nHost: a.example\n\n"), Fault::bad_line_end);
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nX: y\nHost: a.example\r\n\r\n"), Fault::bad_line_end);
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nX: y\rHost: b.example\r\nHost: a.example\r\n\r\n"), Fault::bad_line_end);
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nHost: a.example\0b\r\n\r\n"sv), Fault::bad_line_end);
}

TEST(RequestHead, RefusesRequestLinesThatAreNone) {
  for (const std::string_view line :
       {"GET  / HTTP/1.1", "GET /\tHTTP/1.1", "GET / x HTTP/1.1", "GET / HTTP/1.1 ", "GET / HTTP/1.2", "GET / HTTP/2.0",
        "GET / HTTP/11", "G(T / HTTP/1.1", "GET x HTTP/1.1", "GET * HTTP/1.1", "GET ftp://a.example/ HTTP/1.1",
        "CONNECT a.example HTTP/1.1", "GET HTTP/1.1"}) {
    const Fault fault = fault_of(std::string(line) + "\r\nHost: a.example\r\n\r\n");
    EXPECT_TRUE(fault == Fault::bad_request_line || fault == Fault::not_http) << line;
  }
}

TEST(RequestHead, RefusesHeadersThatSomeWouldRepair) {
  const auto with = [](std::string_view headers) {
    return fault_of("GET / HTTP/1.1\r\n" + std::string(headers) + "\r\n\r\n");
  };
  EXPECT_EQ(with("Host : a.example"), Fault::bad_header);
  EXPECT_EQ(with("Host a.example"), Fault::bad_header);
  EXPECT_EQ(with(": a.example"), Fault::bad_header);
  EXPECT_EQ(with(" Host: a.example"), Fault::folded_header);
  EXPECT_EQ(with("Host: a.example\r\n b.example"), Fault::folded_header);
  EXPECT_EQ(with("Host: a.example\r\n\t"), Fault::folded_header);
}

TEST(RequestHead, WantsOneHost) {
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nX: y\r\n\r\n"), Fault::no_host);
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n"), Fault::several_hosts);
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nHost: a.example\r\nhost: a.example\r\n\r\n"), Fault::several_hosts);
  EXPECT_EQ(fault_of("GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), Fault::host_differs);
  EXPECT_EQ(fault_of("GET http://a.example:81/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), Fault::host_differs);
}

TEST(RequestHead, RefusesHostsThatAreNone) {
  for (const std::string_view host :
       {"a..example", "a b", "user@a.example", "%61.example", "a.example/x", "a.example:0", "a.example:65536",
        "a.example:+80", "127.1", "0x7f000001", "[::1", "[192.0.2.1]", "::1", "a.example,b.example"}) {
    EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), Fault::bad_host) << host;
  }
  EXPECT_EQ(fault_of("GET http://u@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), Fault::bad_host);
  EXPECT_EQ(fault_of("GET http:///x HTTP/1.1\r\nHost: a.example\r\n\r\n"), Fault::bad_host);
}

TEST(RequestHead, HoldsNoMoreThanItsBound) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a.example\r\nX: ";
  const std::string fits = head + std::string(kMaxHead - head.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_EQ(read(fits).state(), State::complete);
  EXPECT_EQ(fault_of(head + std::string(kMaxHead, 'x')), Fault::too_long);
  EXPECT_EQ(fault_of("GET /" + std::string(kMaxHead, 'x')), Fault::not_http);
}

TEST(RequestHead, StandsMutatedHeads) {
  std::mt19937 random(1);
  constexpr std::string_view kText =
      "GET http://a.example:80/x HTTP/1.1\r\nAccept: */*\r\nHost: a.example\r\nX-Y: z\r\n\r\n";
  std::size_t complete = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text(kText);
    for (unsigned i = 0; i < 1 + random() % 3; ++i) text[random() % text.size()] = static_cast<char>(random());
    const RequestHeadReader reader = read(text);
    complete += reader.state() == State::complete;
    if (reader.state() == State::complete) {
      EXPECT_EQ(reader.head().authority.has_value(), true) << text;
    }
  }
  EXPECT_GT(complete, 0U);
}

}  // namespace
}  // namespace microagent::http

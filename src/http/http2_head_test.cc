#include "http/http2_head.h"

#include <gtest/gtest.h>

#include <random>

#include "http/test_http2.h"

namespace microagent::http {
namespace {

using State = Http2HeadReader::State;
using Fault = Http2Fault;

constexpr std::uint8_t kHeaders = NGHTTP2_HEADERS, kContinuation = NGHTTP2_CONTINUATION;

Http2HeadReader read(const Http2Bytes& bytes) {
  Http2HeadReader reader;
  reader.feed(bytes);
  return reader;
}

Fault fault_of(const Http2Bytes& bytes) {
  const Http2HeadReader reader = read(bytes);
  EXPECT_EQ(reader.state(), State::failed);
  return reader.fault();
}

TEST(Http2Head, TellsWhomTheFirstRequestIsFor) {
  const Http2HeadReader reader = read(http2_request(request_fields("api.example:8080")));
  ASSERT_EQ(reader.state(), State::complete);
  EXPECT_EQ(reader.head().authority->host, "api.example");
  EXPECT_EQ(reader.head().authority->port, 8080);
  EXPECT_EQ(reader.head().method, "GET");
  EXPECT_EQ(reader.head().path, "/x");
}

TEST(Http2Head, TakesHostInPlaceOfAuthority) {
  TestFields fields = request_fields("");
  fields.pop_back();
  EXPECT_EQ(fault_of(http2_request(fields)), Fault::no_host);
  fields.emplace_back("host", "b.example");
  EXPECT_EQ(read(http2_request(fields)).head().authority->host, "b.example");
}

TEST(Http2Head, IsTheSameInAnyPieces) {
  const Http2Bytes bytes = http2_request(request_fields("a.example"));
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    Http2HeadReader reader;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      EXPECT_EQ(reader.state(), State::incomplete);
      reader.feed(ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    ASSERT_EQ(reader.state(), State::complete) << piece;
  }
}

TEST(Http2Head, PassesOverWhatMayStandInFront) {
  const Http2Bytes bytes = http2_start() + frame(NGHTTP2_WINDOW_UPDATE, 0, 0, {0, 1, 0, 0}) +
                           frame(NGHTTP2_PRIORITY, 0, 3, {0, 0, 0, 0, 5}) + frame(NGHTTP2_PING, 0, 0, Http2Bytes(8)) +
                           frame(0xbb, 0xff, 7, {1, 2, 3}) +
                           frame(kHeaders, 0x5, 1, header_block(request_fields("a.example")));
  EXPECT_EQ(read(bytes).state(), State::complete);
}

TEST(Http2Head, PutsABlockTogether) {
  const Http2Bytes block = header_block(request_fields("a.example"));
  Http2Bytes bytes = http2_start() + frame(kHeaders, 0x1, 1, {});
  for (std::size_t i = 0; i < block.size(); ++i) {
    bytes = bytes + frame(kContinuation, i + 1 == block.size() ? 0x4 : 0, 1, {block[i]});
  }
  EXPECT_EQ(read(bytes).state(), State::complete);
  const auto interrupted = [&](const Http2Bytes& between) {
    return fault_of(http2_start() + frame(kHeaders, 0x1, 1, block) + between);
  };
  EXPECT_EQ(interrupted(frame(NGHTTP2_PING, 0, 0, Http2Bytes(8))), Fault::bad_frame);
  EXPECT_EQ(interrupted(frame(kContinuation, 0x4, 3, {})), Fault::bad_frame);
}

TEST(Http2Head, TakesPaddingAndPriorityOff) {
  const Http2Bytes block = header_block(request_fields("a.example"));
  const Http2Bytes padded = Http2Bytes{3, 0, 0, 0, 0, 9} + block + Http2Bytes{7, 7, 7};
  EXPECT_EQ(read(http2_start() + frame(kHeaders, 0x2d, 1, padded)).state(), State::complete);
  EXPECT_EQ(fault_of(http2_start() + frame(kHeaders, 0x0c, 1, {9, 1})), Fault::bad_frame);
  EXPECT_EQ(fault_of(http2_start() + frame(kHeaders, 0x0c, 1, {})), Fault::bad_frame);
  EXPECT_EQ(fault_of(http2_start() + frame(kHeaders, 0x24, 1, {0, 0, 0, 0})), Fault::bad_frame);
}

TEST(Http2Head, RefusesFramesThatMayNotStandThere) {
  Http2Bytes start = http2_start();
  start.resize(24);
  EXPECT_EQ(fault_of(start + frame(kHeaders, 0x5, 1, {})), Fault::bad_frame);
  EXPECT_EQ(fault_of(start + frame(NGHTTP2_SETTINGS, 1, 0, {})), Fault::bad_frame);
  EXPECT_EQ(fault_of(start + frame(NGHTTP2_SETTINGS, 0, 1, {})), Fault::bad_frame);
  for (const std::uint8_t type :
       {NGHTTP2_DATA, NGHTTP2_RST_STREAM, NGHTTP2_PUSH_PROMISE, NGHTTP2_GOAWAY, NGHTTP2_CONTINUATION}) {
    EXPECT_EQ(fault_of(http2_start() + frame(type, 0, 1, Http2Bytes(8))), Fault::bad_frame);
  }
  EXPECT_EQ(fault_of(http2_start() + frame(kHeaders, 0x5, 2, {})), Fault::bad_frame);
  EXPECT_EQ(fault_of(http2_start() + frame(kHeaders, 0x5, 0, {})), Fault::bad_frame);
  EXPECT_EQ(fault_of(http2_start() + Http2Bytes{0, 0x40, 1, 1, 0, 0, 0, 0, 1}), Fault::bad_frame);
}

TEST(Http2Head, RefusesHeadersThatAreAmbiguous) {
  const auto with = [](std::string name, std::string value) {
    TestFields fields = request_fields("a.example");
    fields.emplace_back(std::move(name), std::move(value));
    return fault_of(http2_request(fields));
  };
  EXPECT_EQ(with(":authority", "b.example"), Fault::bad_header);
  EXPECT_EQ(with(":path", "/"), Fault::bad_header);
  EXPECT_EQ(with(":protocol2", "x"), Fault::bad_header);
  EXPECT_EQ(with("Accept", "x"), Fault::bad_header);
  EXPECT_EQ(with("host", "b.example"), Fault::host_differs);
  TestFields late = request_fields("a.example");
  late.insert(late.begin(), {"accept", "x"});
  EXPECT_EQ(fault_of(http2_request(late)), Fault::bad_header);
  TestFields hosts = request_fields("a.example");
  hosts.emplace_back("host", "a.example");
  EXPECT_EQ(read(http2_request(hosts)).state(), State::complete);
  hosts.emplace_back("host", "a.example");
  EXPECT_EQ(fault_of(http2_request(hosts)), Fault::bad_header);
  EXPECT_EQ(fault_of(http2_request(request_fields("u@a.example"))), Fault::bad_host);
  EXPECT_EQ(fault_of(http2_request({{":method", "GET"}, {":authority", "a.example"}})), Fault::bad_header);
}

TEST(Http2Head, RefusesBlocksThatAreNone) {
  EXPECT_EQ(fault_of(http2_start() + frame(kHeaders, 0x5, 1, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff})), Fault::bad_header);
  EXPECT_EQ(fault_of(http2_start() + frame(kHeaders, 0x5, 1, {0x40, 0x05, 'a'})), Fault::bad_header);
}

TEST(Http2Head, TellsOtherPrefacesApart) {
  EXPECT_EQ(fault_of({'P', 'R', 'O'}), Fault::not_http2);
  Http2Bytes start = http2_start();
  start[20] = 'X';
  EXPECT_EQ(fault_of(start), Fault::not_http2);
}

TEST(Http2Head, HoldsNoMoreThanItsBound) {
  Http2Bytes bytes = http2_start();
  while (bytes.size() <= kMaxHead) bytes = bytes + frame(NGHTTP2_PING, 0, 0, Http2Bytes(8));
  EXPECT_EQ(fault_of(bytes), Fault::too_long);
}

TEST(Http2Head, StandsMutatedConnections) {
  std::mt19937 random(1);
  const Http2Bytes whole = http2_request(request_fields("a.example"));
  std::size_t complete = 0;
  for (int round = 0; round < 20'000; ++round) {
    Http2Bytes bytes = whole;
    for (unsigned i = 0; i < 1 + random() % 3; ++i) {
      bytes[24 + random() % (bytes.size() - 24)] = static_cast<std::uint8_t>(random());
    }
    complete += read(bytes).state() == State::complete;
  }
  EXPECT_GT(complete, 0U);
}

}  // namespace
}  // namespace microagent::http

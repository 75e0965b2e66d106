#include "http/body_reader.h"

#include <gtest/gtest.h>

#include <random>

#include "http/test_text.h"

namespace microagent::http {
namespace {

using namespace std::string_view_literals;
using Kind = Framing::Kind;
constexpr Framing kChunked{Kind::chunked, 0};

struct Outcome {
  std::size_t taken = 0;
  std::string payload;
  bool done = false;
  BodyFault fault = BodyFault::none;
  bool operator==(const Outcome&) const = default;
};

Outcome read(Framing framing, std::string_view text, std::size_t piece = std::string_view::npos) {
  BodyReader reader(framing);
  Outcome out;
  while (out.taken < text.size()) {
    const std::string_view part = text.substr(out.taken, piece);
    const BodyReader::Piece run = reader.next(bytes_of_text(part));
    if (run.size == 0) break;
    if (run.payload) out.payload += part.substr(0, run.size);
    out.taken += run.size;
  }
  EXPECT_EQ(reader.payload_bytes(), out.payload.size());
  out.done = reader.done();
  out.fault = reader.fault();
  return out;
}

BodyFault fault_of(std::string_view text) {
  const Outcome whole = read(kChunked, text), single = read(kChunked, text, 1);
  EXPECT_EQ(whole, single) << text;
  EXPECT_LT(whole.taken, text.size()) << text;
  return whole.fault;
}

TEST(BodyReader, TakesExactlyTheLength) {
  EXPECT_EQ(read({Kind::length, 3}, "abcGET"), (Outcome{3, "abc", true, BodyFault::none}));
  EXPECT_EQ(read({Kind::length, 3}, "ab"), (Outcome{2, "ab", false, BodyFault::none}));
  EXPECT_EQ(read({}, "GET"), (Outcome{0, "", true, BodyFault::none}));
  EXPECT_EQ(read({Kind::until_close, 0}, "abc"), (Outcome{3, "abc", false, BodyFault::none}));
}

TEST(BodyReader, EndsOnlyWhereItMay) {
  BodyReader length({Kind::length, 3}), close({Kind::until_close, 0}), chunked(kChunked), none({});
  length.feed(bytes_of_text("ab"));
  EXPECT_FALSE(length.on_end());
  EXPECT_EQ(length.fault(), BodyFault::cut_off);
  close.feed(bytes_of_text("ab"));
  EXPECT_TRUE(close.on_end());
  EXPECT_TRUE(close.done());
  chunked.feed(bytes_of_text("2\r\nab\r\n0\r\n"));
  EXPECT_FALSE(chunked.on_end());
  EXPECT_TRUE(none.on_end());
}

constexpr std::string_view kBody =
    "5\r\nhello\r\n00A;name=\"v\" ; x\r\n0123456789\r\n1\r\n\r\r\n0;last\r\nX-Sum: 12\r\nServer-Timing: a\r\n\r\n";

TEST(BodyReader, ReadsChunksInAnyPieces) {
  const std::string text = std::string(kBody) + "GET / HTTP/1.1\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    EXPECT_EQ(read(kChunked, text, piece), (Outcome{kBody.size(), "hello0123456789\r", true, BodyFault::none}));
  }
  BodyReader reader(kChunked);
  reader.feed(bytes_of_text(text));
  EXPECT_EQ(reader.trailers(), (HeaderList{{"X-Sum", "12"}, {"Server-Timing", "a"}}));
}

TEST(BodyReader, EveryPrefixIsIncomplete) {
  for (std::size_t size = 0; size < kBody.size(); ++size) {
    const Outcome outcome = read(kChunked, kBody.substr(0, size));
    EXPECT_EQ(outcome.taken, size);
    EXPECT_FALSE(outcome.done) << size;
    EXPECT_EQ(outcome.fault, BodyFault::none) << size;
  }
}

TEST(BodyReader, RefusesEveryDoubtfulChunk) {
  struct Case {
    std::string_view text;
    BodyFault fault;
  };
  constexpr Case kCases[] = {
      {"\r\n", BodyFault::bad_chunk_size},
      {" 5\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"5 \r\nhello\r\n", BodyFault::bad_chunk_size},
      {"5\t;a\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"5\nhello\r\n", BodyFault::bad_chunk_size},
      {"5\r\rhello\r\n", BodyFault::bad_chunk_size},
      {"5\rhello", BodyFault::bad_chunk_size},
      {"+5\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"-5\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"0x5\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"5_0\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"5,5\r\n", BodyFault::bad_chunk_size},
      {"g\r\n", BodyFault::bad_chunk_size},
      {";a\r\n", BodyFault::bad_chunk_size},
      {"5\0\r\nhello\r\n"sv, BodyFault::bad_chunk_size},
      {"\xef\xbc\x95\r\n", BodyFault::bad_chunk_size},
      {"8000000000000000\r\n", BodyFault::bad_chunk_size},
      {"ffffffffffffffff\r\n", BodyFault::bad_chunk_size},
      {"10000000000000005\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"00000000000000005\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"5;a\nhello\r\n", BodyFault::bad_chunk_extension},
      {"5;a\0b\r\nhello\r\n"sv, BodyFault::bad_chunk_extension},
      {"5;\x7f\r\nhello\r\n", BodyFault::bad_chunk_extension},
      {"5;a\r\r\nhello\r\n", BodyFault::bad_chunk_size},
      {"5\r\nhelloX\r\n", BodyFault::bad_chunk_end},
      {"5\r\nhello\n", BodyFault::bad_chunk_end},
      {"5\r\nhello\rX", BodyFault::bad_chunk_end},
      {"5\r\nhello0\r\n\r\n", BodyFault::bad_chunk_end},
      {"0\r\nA: b\n", BodyFault::bad_trailer},
      {"0\r\n\n", BodyFault::bad_trailer},
      {"0\r\n\rX", BodyFault::bad_trailer},
      {"0\r\nA : b\r\n\r\n", BodyFault::bad_trailer},
      {"0\r\n A: b\r\n\r\n", BodyFault::bad_trailer},
      {"0\r\nGET / HTTP/1.1\r\n", BodyFault::bad_trailer},
      {"0\r\nA: \0\r\n"sv, BodyFault::bad_trailer},
      {"0\r\nContent-Length: 5\r\n", BodyFault::trailer_not_allowed},
      {"0\r\ntransfer-encoding: chunked\r\n", BodyFault::trailer_not_allowed},
      {"0\r\nHost: b.example\r\n", BodyFault::trailer_not_allowed},
      {"0\r\nAuthorization: x\r\n", BodyFault::trailer_not_allowed},
      {"0\r\nSet-Cookie: x\r\n", BodyFault::trailer_not_allowed},
  };
  for (const auto& [text, fault] : kCases) EXPECT_EQ(to_string(fault_of(text)), to_string(fault)) << text;
}

TEST(BodyReader, IsBounded) {
  EXPECT_EQ(fault_of("1;" + std::string(kMaxChunkLine + 1, 'x') + "\r\n"), BodyFault::chunk_line_too_long);
  EXPECT_EQ(fault_of("0\r\nA: " + std::string(kMaxTrailers, 'x')), BodyFault::trailers_too_long);
  std::string lines = "0\r\n", chunks;
  for (std::size_t i = 0; i <= kMaxTrailerLines; ++i) lines += "A: b\r\n";
  EXPECT_EQ(fault_of(lines), BodyFault::trailers_too_long);
  for (int i = 0; i < 100; ++i) chunks += "1;" + std::string(200, 'x') + "\r\na\r\n";
  EXPECT_EQ(fault_of(chunks), BodyFault::too_much_extension);
}

TEST(BodyReader, PassesALargeBodyInRandomPieces) {
  std::mt19937 random(7);
  std::string text, payload;
  for (int i = 0; i < 200; ++i) {
    std::string chunk(1 + random() % 3000, '\0');
    for (char& c : chunk) c = static_cast<char>(random());
    char size[16];
    std::snprintf(size, sizeof size, i % 2 == 0 ? "%zx\r\n" : "%zX\r\n", chunk.size());
    text.append(size).append(chunk).append("\r\n");
    payload += chunk;
  }
  text += "0\r\n\r\n";
  EXPECT_EQ(read(kChunked, text, 1 + random() % 5000), (Outcome{text.size(), payload, true, BodyFault::none}));
}

}  // namespace
}  // namespace microagent::http

#include "http/body_writer.h"

#include <gtest/gtest.h>

#include "http/body_reader.h"
#include "http/test_text.h"

namespace microagent::http {
namespace {

std::string framed(const HeaderList& headers, std::string_view payload, const HeaderList& trailers) {
  const BodyWriter writer(headers);
  std::vector<std::uint8_t> out;
  writer.append(out, bytes_of_text(payload));
  writer.append(out, {});
  writer.finish(out, trailers);
  return {out.begin(), out.end()};
}

TEST(BodyWriter, LeavesABodyOfKnownLengthAlone) {
  EXPECT_EQ(framed({{"content-length", "5"}}, "hello", {{"a", "b"}}), "hello");
}

TEST(BodyWriter, WritesWhatTheReaderReads) {
  const std::string text = framed({{"transfer-encoding", "chunked"}}, "hello, chunked world", {{"a", "b"}});
  EXPECT_EQ(text, "14\r\nhello, chunked world\r\n0\r\na: b\r\n\r\n");
  BodyReader reader({Framing::Kind::chunked, 0});
  EXPECT_EQ(reader.feed(bytes_of_text(text)), text.size());
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(reader.payload_bytes(), 20u);
  EXPECT_EQ(reader.trailers(), (HeaderList{{"a", "b"}}));
}

}  // namespace
}  // namespace microagent::http

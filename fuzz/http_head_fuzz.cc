// The first bytes of a client that speaks HTTP/1 or HTTP/2, in pieces as the input's first byte says. What is found
// must not depend on the pieces.

#include <algorithm>

#include "base/check.h"
#include "http/http2_head.h"
#include "http/request_head.h"

namespace microagent::http {
namespace {

template <typename HeadReader>
void compare(ByteView input, std::size_t piece) {
  HeadReader whole, pieces;
  whole.feed(input);
  for (std::size_t at = 0; at < input.size(); at += piece) {
    pieces.feed(input.subspan(at, std::min(piece, input.size() - at)));
  }
  MICROAGENT_CHECK(whole.state() == pieces.state() && whole.fault() == pieces.fault());
  MICROAGENT_CHECK(whole.head().authority == pieces.head().authority && whole.head().path == pieces.head().path);
  MICROAGENT_CHECK(whole.state() != HeadReader::State::incomplete || input.size() <= kMaxHead);
}

}  // namespace
}  // namespace microagent::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const microagent::ByteView input(data + 1, size - 1);
  const std::size_t piece = std::size_t{data[0]} + 1;
  microagent::http::compare<microagent::http::RequestHeadReader>(input, piece);
  microagent::http::compare<microagent::http::Http2HeadReader>(input, piece);
  return 0;
}

// An encoded body, in pieces, into rooms of any size: bounded output, and the same text whatever the pieces.

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "http/content_decoder.h"

namespace microagent::http {
namespace {

constexpr std::size_t kMostOutput = 1 << 20;

struct Outcome {
  std::string text;
  bool whole = false, stopped = false;
};

Outcome decode(ContentCoding coding, ByteView input, std::size_t piece, std::size_t room) {
  ContentDecoder decoder(coding);
  std::vector<std::uint8_t> buffer(room);
  Outcome out;
  for (std::size_t at = 0; at < input.size() && !out.stopped; at += piece) {
    ByteView part = input.subspan(at, std::min(piece, input.size() - at));
    for (;;) {
      const ContentDecoder::Step step = decoder.decode(part, buffer);
      MICROAGENT_CHECK(step.taken <= part.size() && step.made <= room);
      if (step.taken == 0 && step.made == 0) break;
      part = part.subspan(step.taken);
      out.text.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(step.made));
      if (out.text.size() > kMostOutput) {
        out.stopped = true;
        break;
      }
    }
    // What is neither wrong nor done takes all that it is given.
    MICROAGENT_CHECK(out.stopped || decoder.fault() != DecodeFault::none || part.empty());
  }
  out.whole = decoder.on_end();
  return out;
}

}  // namespace
}  // namespace microagent::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace microagent::http;
  if (size < 2) return 0;
  constexpr ContentCoding kCodings[] = {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::br,
                                        ContentCoding::zstd};
  const ContentCoding coding = kCodings[data[0] % 4];
  const microagent::ByteView input(data + 2, size - 2);
  const Outcome whole = decode(coding, input, input.size() + 1, 65536);
  const Outcome pieces = decode(coding, input, data[1] % 64 + 1, data[0] / 4 + 1);
  // Of a text that is wrong in the end, more or less may have come out before that was seen; of a whole one, all.
  MICROAGENT_CHECK(!(whole.stopped && pieces.whole) && !(pieces.stopped && whole.whole));
  if (whole.stopped || pieces.stopped) return 0;
  MICROAGENT_CHECK(whole.whole == pieces.whole);
  MICROAGENT_CHECK(!whole.whole || whole.text == pieces.text);
  return 0;
}

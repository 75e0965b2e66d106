// The frames of the agent and exec streams: the fuzzer's first byte says in what pieces the rest arrives. Whatever is
// taken out must go in again as it was.

#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "wire/agent.h"

namespace microagent::wire {
namespace {

void check_payload(const FrameReader::Frame& frame) {
  const ByteView payload(frame.payload);
  (void)parse_exit_status(payload);
  (void)parse_terminal_size(payload);
  (void)parse_number(payload);
  if (const auto exec = parse_exec(payload)) MICROAGENT_CHECK(encode_exec(*exec) == frame.payload);
  if (const auto trust = parse_trust(payload)) MICROAGENT_CHECK(encode_trust(*trust) == frame.payload);
  if (const auto copy = parse_copy(payload)) MICROAGENT_CHECK(encode_copy(*copy) == frame.payload);
}

void run(ByteView input) {
  if (input.empty()) return;
  const std::size_t step = std::size_t{input[0]} + 1;
  const ByteView stream = input.subspan(1);
  FrameReader reader;
  std::vector<std::uint8_t> again;
  for (std::size_t at = 0; at < stream.size(); at += step) {
    reader.feed(stream.subspan(at, std::min(step, stream.size() - at)));
    while (const auto frame = reader.next()) {
      check_payload(*frame);
      const auto encoded = encode_frame(frame->type, ByteView(frame->payload));
      again.insert(again.end(), encoded.begin(), encoded.end());
    }
  }
  MICROAGENT_CHECK(again.size() <= stream.size() && std::equal(again.begin(), again.end(), stream.begin()));
}

}  // namespace
}  // namespace microagent::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  microagent::wire::run({data, size});
  return 0;
}

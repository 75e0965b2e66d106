// Tar streams: the fuzzer's first byte says in what pieces the rest arrives. Every entry must be one that can be
// written again, and no more content come out than went in.

#include <algorithm>

#include "archive/tar.h"
#include "base/check.h"

namespace microagent::archive {
namespace {

class Checking final : public TarSink {
 public:
  bool on_entry(const Entry& entry) override {
    MICROAGENT_CHECK(!inside_);
    inside_ = true;
    expected_ = entry.size;
    MICROAGENT_CHECK(encode_header(entry).size() % kBlock == 0);
    return true;
  }
  bool on_content(ByteView bytes) override {
    MICROAGENT_CHECK(inside_ && !bytes.empty() && bytes.size() <= expected_);
    expected_ -= bytes.size();
    return true;
  }
  bool on_entry_end() override {
    MICROAGENT_CHECK(inside_ && expected_ == 0);
    inside_ = false;
    return true;
  }

 private:
  bool inside_ = false;
  std::uint64_t expected_ = 0;
};

void run(ByteView input) {
  if (input.empty()) return;
  const std::size_t step = std::size_t{input[0]} * 4 + 1;
  const ByteView stream = input.subspan(1);
  Checking sink;
  TarParser parser(sink);
  for (std::size_t at = 0; at < stream.size(); at += step) {
    if (!parser.feed(stream.subspan(at, std::min(step, stream.size() - at)))) return;
  }
  (void)parser.finish();
}

}  // namespace
}  // namespace microagent::archive

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  microagent::archive::run({data, size});
  return 0;
}

#pragma once

// What a fuzzer's bytes are to a target that acts: decisions, one after another.

#include "base/bytes.h"

namespace microagent::fuzz {

// One byte of the script at a time; zeros behind its end.
class Script {
 public:
  explicit Script(ByteView bytes) : bytes_(bytes) {}
  bool over() const { return bytes_.empty(); }
  std::uint8_t next() {
    if (bytes_.empty()) return 0;
    const std::uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }

 private:
  ByteView bytes_;
};

}  // namespace microagent::fuzz

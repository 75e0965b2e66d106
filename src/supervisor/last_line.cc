#include "supervisor/last_line.h"

#include <utility>

namespace microagent::supervisor {
namespace {

constexpr std::size_t kMaxLength = 300;

}  // namespace

void LastLine::feed(std::string_view bytes) {
  for (const char byte : bytes) {
    if (byte == '\n' || byte == '\r') {
      if (!current_.empty()) last_ = std::exchange(current_, {});
    } else if (current_.size() < kMaxLength) {
      current_.push_back(byte >= 0x20 && byte < 0x7f ? byte : '?');
    }
  }
}

}  // namespace microagent::supervisor

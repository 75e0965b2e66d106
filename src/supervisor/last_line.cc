#include "supervisor/last_line.h"

#include <utility>

namespace microagent::supervisor {
namespace {

constexpr std::size_t kMaxLength = 300;
constexpr int kTrace = 100;  // lines; who still writes after more has not died of it

}  // namespace

void LastLine::feed(std::string_view bytes) {
  for (const char byte : bytes) {
    if (byte == '\n' || byte == '\r') {
      if (!current_.empty()) end_line();
    } else if (current_.size() < kMaxLength) {
      current_.push_back(byte >= 0x20 && byte < 0x7f ? byte : '?');
    }
  }
}

void LastLine::end_line() {
  last_ = std::exchange(current_, {});
  if (last_.find("Kernel panic - ") != std::string::npos) {
    panic_ = last_;
    lines_behind_panic_ = 0;
  } else if (++lines_behind_panic_ > kTrace) {
    panic_.clear();
  }
}

const std::string& LastLine::get() const {
  if (!panic_.empty()) return panic_;
  return current_.empty() ? last_ : current_;
}

}  // namespace microagent::supervisor

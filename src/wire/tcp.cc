#include "wire/tcp.h"

#include <algorithm>

#include "base/check.h"

namespace microagent::wire {
namespace {

constexpr std::uint8_t kEnd = 0, kNop = 1, kMss = 2, kWindowScale = 3, kSackPermitted = 4, kSack = 5, kTimestamps = 8;

// One option's value, its type and length already taken off. False when the length is not the type's.
bool parse_value(std::uint8_t type, ByteView value, TcpOptions& out) {
  Reader reader(value);
  switch (type) {
    case kMss: {
      be16 mss;
      if (value.size() != sizeof mss || !reader.read(mss)) return false;
      out.mss = mss;
      return true;
    }
    case kWindowScale:
      if (value.size() != 1) return false;
      out.window_scale = std::min(value[0], kMaxWindowScale);
      return true;
    case kSackPermitted: out.sack_permitted = true; return value.empty();
    case kTimestamps: {
      be32 stamp, echo;
      if (value.size() != 8 || !reader.read(stamp) || !reader.read(echo)) return false;
      out.timestamps = TcpTimestamps{stamp, echo};
      return true;
    }
    case kSack:
      if (value.size() % 8 != 0 || value.empty()) return false;
      for (out.sack_count = 0; reader.left() > 0 && out.sack_count < kMaxSackBlocks; ++out.sack_count) {
        be32 left, right;
        if (!reader.read(left) || !reader.read(right)) return false;
        out.sack[out.sack_count] = SackBlock{left, right};
      }
      return true;
    default: return true;
  }
}

class OptionWriter {
 public:
  explicit OptionWriter(MutableBytes bytes) : writer_(bytes) {}

  template <typename... Values>
  void put(const Values&... values) {
    MICROAGENT_CHECK((writer_.write(values) && ...));
  }
  std::size_t written() const { return writer_.written(); }

 private:
  Writer writer_;
};

}  // namespace

std::optional<TcpOptions> parse_tcp_options(ByteView bytes) {
  TcpOptions options;
  Reader reader(bytes);
  std::uint8_t type = 0;
  while (reader.read(type)) {
    if (type == kEnd) break;
    if (type == kNop) continue;
    std::uint8_t length = 0;
    ByteView value;
    if (!reader.read(length) || length < 2 || !reader.take(length - 2U, value)) return std::nullopt;
    if (!parse_value(type, value, options)) return std::nullopt;
  }
  return options;
}

std::size_t encode_tcp_options(const TcpOptions& options, std::array<std::uint8_t, kMaxTcpOptions>& out) {
  OptionWriter writer(out);
  if (options.mss) writer.put(kMss, std::uint8_t{4}, be16(*options.mss));
  if (options.sack_permitted) writer.put(kNop, kNop, kSackPermitted, std::uint8_t{2});
  if (options.window_scale) writer.put(kNop, kWindowScale, std::uint8_t{3}, *options.window_scale);
  if (options.timestamps) {
    writer.put(kNop, kNop, kTimestamps, std::uint8_t{10}, be32(options.timestamps->value),
               be32(options.timestamps->echo));
  }
  if (options.sack_count > 0) {
    writer.put(kNop, kNop, kSack, static_cast<std::uint8_t>(2 + 8 * options.sack_count));
    for (std::size_t i = 0; i < options.sack_count; ++i) {
      writer.put(be32(options.sack[i].left), be32(options.sack[i].right));
    }
  }
  return writer.written();
}

}  // namespace microagent::wire

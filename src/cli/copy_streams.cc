#include "cli/copy_streams.h"

#include <algorithm>

namespace microagent::cli {

using wire::FrameType;

Result<std::optional<std::size_t>> PackSource::read(MutableBytes room) {
  if (rest_.empty()) {
    const auto next = packer_.next();
    if (!next) return fail(next.error());
    rest_ = *next;
  }
  const std::size_t count = std::min(room.size(), rest_.size());
  std::ranges::copy(rest_.first(count), room.begin());
  rest_ = rest_.subspan(count);
  return count;
}

void Complaints::take(ByteView bytes) {
  const ByteView kept = bytes.first(std::min(bytes.size(), kMax - text_.size()));
  text_.append(kept.begin(), kept.end());
}

Result<std::size_t> PutSink::take(FrameType, ByteView bytes) {
  complaints_.take(bytes);
  return bytes.size();
}

int GetSink::descriptor(FrameType stream) const {
  return raw_ != nullptr && stream == FrameType::output ? raw_->descriptor(stream) : -1;
}

Result<std::size_t> GetSink::take(FrameType stream, ByteView bytes) {
  if (stream == FrameType::error_output) {
    complaints_.take(bytes);
    return bytes.size();
  }
  if (raw_ != nullptr) return raw_->take(stream, bytes);
  if (Status fed = unpacker_->feed(bytes); !fed) return fail(fed.error());
  return bytes.size();
}

}  // namespace microagent::cli

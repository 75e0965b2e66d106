#include "base/pieces.h"

#include <algorithm>
#include <atomic>

#include "base/check.h"

namespace microagent {

std::span<iovec> take_front(std::span<iovec> pieces, std::size_t bytes, std::uint8_t* out) {
  while (bytes > 0) {
    MICROAGENT_CHECK(!pieces.empty());
    iovec& piece = pieces.front();
    const std::size_t count = std::min(bytes, piece.iov_len);
    auto* start = static_cast<std::uint8_t*>(piece.iov_base);
    if (out != nullptr) {
      std::memcpy(out, start, count);
      out += count;
    }
    piece = iovec{start + count, piece.iov_len - count};
    bytes -= count;
    if (piece.iov_len == 0) pieces = pieces.subspan(1);
  }
  // The source is guest memory: what was copied must not be read there again.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return pieces;
}

std::size_t copy_front(std::span<const iovec> pieces, MutableBytes out) {
  std::size_t copied = 0;
  for (const iovec& piece : pieces) {
    const std::size_t count = std::min(piece.iov_len, out.size() - copied);
    if (count > 0) std::memcpy(out.data() + copied, piece.iov_base, count);
    copied += count;
    if (copied == out.size()) break;
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return copied;
}

std::span<const iovec> view_front(std::span<const iovec> pieces, std::size_t bytes, std::span<iovec> room) {
  std::size_t count = 0;
  for (; bytes > 0; ++count) {
    MICROAGENT_CHECK(count < pieces.size() && count < room.size());
    room[count] = iovec{pieces[count].iov_base, std::min(pieces[count].iov_len, bytes)};
    bytes -= room[count].iov_len;
  }
  return room.first(count);
}

std::span<iovec> keep_front(std::span<iovec> pieces, std::size_t bytes) {
  std::size_t count = 0;
  for (; bytes > 0; ++count) {
    MICROAGENT_CHECK(count < pieces.size());
    iovec& piece = pieces[count];
    piece.iov_len = std::min(piece.iov_len, bytes);
    bytes -= piece.iov_len;
  }
  return pieces.first(count);
}

}  // namespace microagent

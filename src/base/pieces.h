#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/bytes.h"

namespace microagent {

inline std::size_t total_bytes(std::span<const iovec> pieces) {
  std::size_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  return bytes;
}

// Cuts the first `bytes` bytes off `pieces` and copies them to `out` if that is not null. Returns the pieces that are
// left, the first of them shortened in place. There must be that many bytes.
std::span<iovec> take_front(std::span<iovec> pieces, std::size_t bytes, std::uint8_t* out);

// Copies the first bytes of `pieces` to `out`, as many as there are and it holds; returns how many. Cuts nothing.
std::size_t copy_front(std::span<const iovec> pieces, MutableBytes out);

// The first `bytes` bytes of `pieces`, which stay as they are, as pieces in `room`, which has room for all of them.
std::span<const iovec> view_front(std::span<const iovec> pieces, std::size_t bytes, std::span<iovec> room);

// Shortens `pieces` to their first `bytes` bytes, in place.
std::span<iovec> keep_front(std::span<iovec> pieces, std::size_t bytes);

// The place of one header at the front of some pieces, across which it may be cut anyhow.
template <typename Header>
class HeaderRoom {
 public:
  // Takes the place off the front; the pieces must hold it. Returns what is left of them.
  std::span<iovec> take(std::span<iovec> pieces) {
    count_ = 0;
    for (std::size_t left = sizeof(Header); left > 0;) {
      const std::size_t bytes = std::min(left, pieces.front().iov_len);
      places_[count_++] = iovec{pieces.front().iov_base, bytes};
      pieces = take_front(pieces, bytes, nullptr);
      left -= bytes;
    }
    return pieces;
  }

  void write(const Header& header) const {
    const std::uint8_t* source = bytes_of(header).data();
    for (const iovec& place : std::span(places_).first(count_)) {
      std::memcpy(place.iov_base, source, place.iov_len);
      source += place.iov_len;
    }
  }

 private:
  std::array<iovec, sizeof(Header)> places_{};
  std::size_t count_ = 0;
};

}  // namespace microagent

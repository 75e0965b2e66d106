#include "wire/checksum.h"

#include <bit>
#include <cstring>

namespace microagent::wire {
namespace {

// One's complement addition of 64-bit words in memory order; folding and swapping at the end gives the same as summing
// 16-bit words (RFC 1071, 2).
std::uint64_t add_with_carry(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum + (sum < a ? 1 : 0);
}

std::uint64_t sum_words(ByteView bytes) {
  std::uint64_t sum = 0;
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    sum = add_with_carry(sum, word);
  }
  std::uint64_t rest = 0;
  if (left > 0) std::memcpy(&rest, at, left);
  return add_with_carry(sum, rest);
}

std::uint16_t fold(std::uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace

void Checksum::add(ByteView bytes) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t sum = sum_words(bytes);
  // Bytes at odd places count in the other half of their word.
  if (odd_) sum = std::rotl(sum, 8);
  sum_ = add_with_carry(sum_, sum);
  odd_ ^= bytes.size() % 2 != 0;
}

void Checksum::add(std::span<const iovec> pieces) {
  for (const iovec& piece : pieces) add(ByteView(static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len));
}

std::uint16_t Checksum::partial() const {
  const std::uint16_t folded = fold(sum_);
  return static_cast<std::uint16_t>(folded << 8 | folded >> 8);
}

Checksum pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                       std::size_t transport_bytes) {
  Checksum sum;
  const std::size_t size = source.is_ipv4() ? 4 : 16;
  sum.add(ByteView(source.bytes).first(size));
  sum.add(ByteView(destination.bytes).first(size));
  sum.add(bytes_of(be32(static_cast<std::uint32_t>(transport_bytes))));
  sum.add(bytes_of(be32(protocol)));
  return sum;
}

}  // namespace microagent::wire

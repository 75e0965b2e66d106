#pragma once

// SHA-1 (RFC 3174), for formats that want it: Java's key stores and the handshake of WebSocket. It protects nothing.

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace microagent {

using Sha1Digest = std::array<std::uint8_t, 20>;

class Sha1 {
 public:
  void feed(std::string_view bytes) {
    for (const char c : bytes) feed(static_cast<std::uint8_t>(c));
  }

  Sha1Digest finish() {
    const std::uint64_t bits = size_ * 8;
    feed(std::uint8_t{0x80});
    while (size_ % kBlock != kBlock - 8) feed(std::uint8_t{0});
    for (int shift = 56; shift >= 0; shift -= 8) feed(static_cast<std::uint8_t>(bits >> shift));
    Sha1Digest digest{};
    for (std::size_t i = 0; i < digest.size(); ++i) {
      digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
    }
    return digest;
  }

 private:
  static constexpr std::size_t kBlock = 64;

  void feed(std::uint8_t byte) {
    block_[size_++ % kBlock] = byte;
    if (size_ % kBlock == 0) take_block();
  }

  void take_block() {
    std::array<std::uint32_t, 80> words{};
    for (std::size_t i = 0; i < 16; ++i) {
      for (std::size_t j = 0; j < 4; ++j) words[i] = words[i] << 8 | block_[4 * i + j];
    }
    for (std::size_t i = 16; i < words.size(); ++i) {
      words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    }
    auto [a, b, c, d, e] = state_;
    for (std::size_t i = 0; i < words.size(); ++i) {
      std::uint32_t mixed = b ^ c ^ d, constant = 0xca62c1d6;
      if (i < 20) mixed = (b & c) | (~b & d), constant = 0x5a827999;
      else if (i < 40) constant = 0x6ed9eba1;
      else if (i < 60) mixed = (b & c) | (b & d) | (c & d), constant = 0x8f1bbcdc;
      const std::uint32_t next = std::rotl(a, 5) + mixed + e + constant + words[i];
      e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
    }
    state_[0] += a, state_[1] += b, state_[2] += c, state_[3] += d, state_[4] += e;
  }

  std::array<std::uint32_t, 5> state_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  std::array<std::uint8_t, kBlock> block_{};
  std::uint64_t size_ = 0;
};

}  // namespace microagent

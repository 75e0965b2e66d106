#pragma once

// TCP's header and options (RFC 9293, 3.1 and 3.2; RFC 7323; RFC 2018).

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace microagent::wire {

inline constexpr std::uint8_t kTcpFin = 0x01, kTcpSyn = 0x02, kTcpRst = 0x04, kTcpPsh = 0x08, kTcpAck = 0x10,
                              kTcpUrg = 0x20;

struct TcpHeader {
  be16 source_port;
  be16 destination_port;
  be32 sequence;
  be32 acknowledgment;
  std::uint8_t data_offset = 0x50;  // header length in 32-bit words, in the high four bits
  std::uint8_t flags = 0;
  be16 window;
  be16 checksum;
  be16 urgent_pointer;

  std::size_t header_bytes() const { return static_cast<std::size_t>(data_offset >> 4) * 4; }
};
static_assert(sizeof(TcpHeader) == 20 && alignof(TcpHeader) == 1);

inline constexpr std::size_t kTcpChecksumOffset = 16;
inline constexpr std::size_t kMaxTcpOptions = 40;
inline constexpr std::uint8_t kMaxWindowScale = 14;  // RFC 7323, 2.3
inline constexpr std::size_t kMaxSackBlocks = 4;

struct SackBlock {
  std::uint32_t left = 0, right = 0;  // [left, right)
};

struct TcpTimestamps {
  std::uint32_t value = 0, echo = 0;
};

struct TcpOptions {
  std::optional<std::uint16_t> mss;          // in SYN segments
  std::optional<std::uint8_t> window_scale;  // in SYN segments; at most kMaxWindowScale
  bool sack_permitted = false;               // in SYN segments
  std::optional<TcpTimestamps> timestamps;
  std::array<SackBlock, kMaxSackBlocks> sack{};
  std::uint8_t sack_count = 0;
};

// Nothing when an option's length is impossible or leaves the header (RFC 9293, 3.2). Unknown options are passed over.
std::optional<TcpOptions> parse_tcp_options(ByteView bytes);

// Writes the options, padded to a multiple of 4, and returns how many bytes that are. They must fit into
// kMaxTcpOptions: three SACK blocks beside timestamps, four without.
std::size_t encode_tcp_options(const TcpOptions& options, std::array<std::uint8_t, kMaxTcpOptions>& out);

}  // namespace microagent::wire

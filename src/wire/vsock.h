#pragma once

// Packets of the virtio socket device: VIRTIO 1.2, 5.10.6. Each is a header and, for `rw`, `length` bytes of data.

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace microagent::wire {

enum class VsockOp : std::uint16_t {
  invalid = 0,
  request = 1,   // wants a connection
  response = 2,  // accepts it
  reset = 3,     // refuses it, or ends it at once
  shutdown = 4,  // ends one or both directions, see kVsockShutdown*
  rw = 5,        // data
  credit_update = 6,
  credit_request = 7,
};

inline constexpr std::uint16_t kVsockStream = 1;
inline constexpr std::uint16_t kVsockSeqpacketType = 2;  // with the feature only

// Flags of an rw packet of a seqpacket connection.
inline constexpr std::uint32_t kVsockEndOfMessage = 1;
inline constexpr std::uint32_t kVsockEndOfRecord = 2;

// Flags of a shutdown, seen from its sender.
inline constexpr std::uint32_t kVsockShutdownReceive = 1;  // will receive no more
inline constexpr std::uint32_t kVsockShutdownSend = 2;     // will send no more
inline constexpr std::uint32_t kVsockShutdownBoth = kVsockShutdownReceive | kVsockShutdownSend;

struct VsockHeader {
  le64 source_cid;
  le64 destination_cid;
  le32 source_port;
  le32 destination_port;
  le32 length;  // of the data behind the header
  le16 type;    // kVsockStream, kVsockSeqpacketType
  le16 op;      // VsockOp
  le32 flags;
  le32 buffer_size;      // buf_alloc: the sender's whole receive buffer for this connection, bytes
  le32 forwarded_count;  // fwd_cnt: how many bytes the sender has taken out of it since the start, modulo 2^32
};
static_assert(sizeof(VsockHeader) == 44 && alignof(VsockHeader) == 1);

enum class VsockError : std::uint8_t {
  none,
  short_header,
  wrong_source,       // not the guest's own CID
  wrong_destination,  // not the host's CID
  unknown_type,
  unknown_op,
  length_past_buffer,   // more data announced than the packet holds
  length_without_data,  // data announced on an operation that has none
};

// Judges a header that the guest sent, already copied out of its memory. `data_bytes` is what the packet holds behind
// the header; `guest_cid` the only source allowed; `seqpacket` says whether that type was negotiated.
VsockError check_vsock_header(const VsockHeader& header, std::uint64_t guest_cid, std::size_t data_bytes,
                              bool seqpacket);

// Configuration space, 5.10.4.
struct VsockConfig {
  le64 guest_cid;
};
static_assert(sizeof(VsockConfig) == 8);

}  // namespace microagent::wire

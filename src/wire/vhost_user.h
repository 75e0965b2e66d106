#pragma once

// Messages of the vhost-user protocol, back end's side (QEMU documentation, docs/interop/vhost-user.rst). The protocol
// uses the host's byte order; the codecs say little endian, which is what every host we support has.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace microagent::wire {

enum class VhostRequest : std::uint32_t {
  get_features = 1,
  set_features = 2,
  set_owner = 3,
  reset_owner = 4,
  set_memory_table = 5,
  set_vring_size = 8,
  set_vring_address = 9,
  set_vring_base = 10,
  get_vring_base = 11,
  set_vring_kick = 12,
  set_vring_call = 13,
  set_vring_error = 14,
  get_protocol_features = 15,
  set_protocol_features = 16,
  get_queue_count = 17,
  set_vring_enable = 18,
  send_rarp = 19,
  set_mtu = 20,
  get_config = 24,
  set_config = 25,
};

// Among the feature bits of get_features: the front end may negotiate protocol features.
inline constexpr std::uint64_t kVhostProtocolFeatures = std::uint64_t{1} << 30;

inline constexpr std::uint64_t kVhostProtocolReplyAck = std::uint64_t{1} << 3;
inline constexpr std::uint64_t kVhostProtocolMtu = std::uint64_t{1} << 4;
inline constexpr std::uint64_t kVhostProtocolConfig = std::uint64_t{1} << 9;

inline constexpr std::uint32_t kVhostVersionMask = 0x3;
inline constexpr std::uint32_t kVhostVersion = 0x1;
inline constexpr std::uint32_t kVhostReply = 0x4;
inline constexpr std::uint32_t kVhostNeedReply = 0x8;

struct VhostHeader {
  le32 request;
  le32 flags;
  le32 size;  // of the payload
};
static_assert(sizeof(VhostHeader) == 12 && alignof(VhostHeader) == 1);

inline constexpr std::size_t kVhostMaxRegions = 8;
inline constexpr std::size_t kVhostMaxConfig = 256;

struct VhostRegion {
  le64 guest_address;
  le64 size;
  le64 user_address;  // where the front end has it mapped; ring addresses are given in this space
  le64 file_offset;   // where it begins in the descriptor that comes along
};
static_assert(sizeof(VhostRegion) == 32);

struct VhostMemoryTable {
  std::size_t count = 0;
  std::array<VhostRegion, kVhostMaxRegions> regions{};

  std::span<const VhostRegion> view() const { return std::span(regions).first(count); }
};

struct VhostVringState {
  le32 index;
  le32 value;  // ring size, base or 0/1, as the request says
};
static_assert(sizeof(VhostVringState) == 8);

struct VhostVringAddress {
  le32 index;
  le32 flags;
  le64 descriptors;  // user addresses
  le64 used;
  le64 available;
  le64 log;
};
static_assert(sizeof(VhostVringAddress) == 40);

// Payload of set_vring_kick, _call and _error.
struct VhostVringFd {
  std::uint8_t index = 0;
  bool has_fd = false;
};

struct VhostConfigHeader {
  le32 offset;
  le32 size;
  le32 flags;
};
static_assert(sizeof(VhostConfigHeader) == 12);

// The largest payload a front end may send us.
inline constexpr std::size_t kVhostMaxPayload = sizeof(VhostConfigHeader) + kVhostMaxConfig;
static_assert(kVhostMaxPayload >= 8 + kVhostMaxRegions * sizeof(VhostRegion));

// A header as a request must have it: known version, no reply bit, payload within kVhostMaxPayload.
std::optional<VhostHeader> parse_vhost_header(ByteView bytes);

// Payloads: exactly the size their kind has, or nothing.
std::optional<std::uint64_t> parse_vhost_u64(ByteView payload);
std::optional<VhostVringState> parse_vhost_vring_state(ByteView payload);
std::optional<VhostVringAddress> parse_vhost_vring_address(ByteView payload);
std::optional<VhostVringFd> parse_vhost_vring_fd(ByteView payload);
std::optional<VhostMemoryTable> parse_vhost_memory_table(ByteView payload);
std::optional<VhostConfigHeader> parse_vhost_config_request(ByteView payload);

// The payload of set_memory_table; `out` must hold it. Returns the bytes written.
std::size_t encode_vhost_memory_table(const VhostMemoryTable& table, MutableBytes out);
// The u64 of set_vring_kick, _call and _error.
std::uint64_t encode_vhost_vring_fd(const VhostVringFd& vring);

}  // namespace microagent::wire

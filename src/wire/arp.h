#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "wire/ethernet.h"

namespace microagent::wire {

inline constexpr std::uint16_t kArpEthernet = 1;
inline constexpr std::uint16_t kArpRequest = 1;
inline constexpr std::uint16_t kArpReply = 2;

// RFC 826, for Ethernet and IPv4.
struct ArpPacket {
  be16 hardware_type = kArpEthernet;
  be16 protocol_type = kEtherTypeIpv4;
  std::uint8_t hardware_length = 6;
  std::uint8_t protocol_length = 4;
  be16 operation;
  MacAddress sender_mac{};
  std::array<std::uint8_t, 4> sender_ip{};
  MacAddress target_mac{};
  std::array<std::uint8_t, 4> target_ip{};
};
static_assert(sizeof(ArpPacket) == 28 && alignof(ArpPacket) == 1);

}  // namespace microagent::wire

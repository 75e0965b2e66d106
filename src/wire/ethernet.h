#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace microagent::wire {

using MacAddress = std::array<std::uint8_t, 6>;

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

// IEEE 802.3, without VLAN tag.
struct EthernetHeader {
  MacAddress destination{};
  MacAddress source{};
  be16 ether_type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);

}  // namespace microagent::wire

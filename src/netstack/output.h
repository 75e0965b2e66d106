#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "netstack/stack.h"
#include "wire/checksum.h"

namespace microagent::netstack {

// Segmentation that is left to the guest (VIRTIO 1.2, 5.1.6.4): one large TCP segment stands for many of `size` bytes
// of payload each. 0: none.
struct Segmentation {
  std::uint16_t size = 0;
};

// Writes IP packets to the guest, in two steps: begin() gives room in guest memory for the payload, to be filled by
// recvmsg(2) or memcpy; finish() writes the headers in front of what was filled in. One packet at a time.
class Output {
 public:
  // The largest transport header: TCP with all its options.
  static constexpr std::size_t kMaxTransportHeader = 60;

  Output(const Config& config, Wire& wire, Stack::Counters& counters)
      : config_(config), wire_(wire), counters_(counters) {}

  Wire::Abilities abilities() const { return wire_.abilities(); }

  // What a packet of the guest's MTU holds behind its IP header.
  std::size_t mtu_payload(const wire::IpAddress& to) const;

  struct Addresses {
    wire::IpAddress source, destination;
  };

  // False when the guest has not posted enough buffers (counted; on_wire_room() follows). `header_bytes` is the exact
  // size of the transport header.
  [[nodiscard]] bool begin(const Addresses& addresses, std::uint8_t protocol, std::size_t header_bytes,
                           std::size_t payload_bytes);
  // Where the payload goes. Valid until finish() or abandon().
  std::span<iovec> payload() { return payload_; }
  // `header` is the transport header, its checksum field (at `checksum_offset`) zero. The payload's first
  // `payload_bytes` bytes were filled in. The checksum is left to the guest where it takes that.
  void finish(MutableBytes header, std::size_t checksum_offset, std::size_t payload_bytes, Segmentation segmentation);
  void abandon() { wire_.abandon(); }

  // A packet whose payload lies in memory of ours. False when there was no room.
  bool send(const Addresses& addresses, std::uint8_t protocol, MutableBytes header, std::size_t checksum_offset,
            ByteView payload);

  // A whole datagram, transport header and payload, that lies in memory of ours: as one packet, or in fragments where
  // it is larger than the MTU. False when there was no room for all of it.
  bool send_datagram(const Addresses& addresses, std::uint8_t protocol, MutableBytes datagram,
                     std::size_t checksum_offset);
  // Memory for one datagram, for whoever puts one together; good until the next such caller.
  static constexpr std::size_t kMaxDatagram = 65'535;
  std::span<std::uint8_t, kMaxDatagram> scratch() { return *scratch_; }

  // A frame that is no IP packet (ARP); the Ethernet payload only.
  bool send_frame(std::uint16_t ether_type, ByteView payload);

  std::uint8_t hop_limit = 64;

 private:
  static constexpr std::size_t kMaxHeaders = 14 + 40 + kMaxTransportHeader;
  static constexpr std::size_t kMaxPieces = 1024;

  // Where a packet lies in a fragmented datagram.
  struct Fragment {
    std::size_t offset = 0;
    bool more = false;
    std::uint32_t identification = 0;
  };

  std::size_t network_header_bytes() const;
  void encode_network_header(MutableBytes out, std::size_t transport_bytes);
  void encode_ipv4_header(MutableBytes out, std::size_t transport_bytes);
  void encode_ipv6_header(MutableBytes out, std::size_t transport_bytes);
  wire::Checksum begin_checksum(std::size_t transport_bytes) const;
  void commit(ByteView header, std::size_t payload_bytes, const Offload& offload);
  bool send_fragments(ByteView datagram);

  const Config& config_;
  Wire& wire_;
  Stack::Counters& counters_;
  // The packet being written.
  Addresses addresses_;
  std::uint8_t protocol_ = 0;
  std::size_t transport_header_bytes_ = 0;
  std::array<iovec, kMaxPieces> pieces_{};
  std::span<iovec> payload_;
  std::array<iovec, kMaxHeaders> header_places_{};
  std::size_t header_place_count_ = 0;
  std::optional<Fragment> fragment_;
  std::uint32_t next_identification_ = 1;
  std::unique_ptr<std::array<std::uint8_t, kMaxDatagram>> scratch_ =
      std::make_unique_for_overwrite<std::array<std::uint8_t, kMaxDatagram>>();
};

}  // namespace microagent::netstack

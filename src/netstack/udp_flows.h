#pragma once

#include "netstack/datagram_flows.h"
#include "netstack/icmp.h"

namespace microagent::netstack {

// Every UDP conversation between the guest and a host descriptor.
class UdpFlows final : public DatagramFlows {
 public:
  explicit UdpFlows(Environment& environment);

  // A packet whose protocol is UDP.
  void on_packet(Packet& packet);
  // The guest says that nobody hears one of our datagrams: its socket is closed, or it never had one.
  void on_guest_error(const GuestError& error);
  // Begins a conversation with a port of the guest, from the gateway's address and a port of its own.
  void dial(FlowId flow, const GuestService& service, Fd fd, ByteView first);

 private:
  static constexpr std::uint16_t kFirstDialPort = 32'768, kLastDialPort = 60'999;

  GuestHeader header_for_guest(const DatagramFlow& flow, ByteView head, std::size_t payload_bytes) const override;
  Quote quote_for(const DatagramFlow& flow, const SocketError& error) const override;
  Patience patience_of(const DatagramKey& key) const override;

  void take_segments(const DatagramKey& key, const Packet& packet, const Quote& quote, HostDatagram segment,
                     std::span<iovec> rest);
  std::optional<DatagramKey> next_dial_key(const DatagramFlow& flow);
  bool is_free_for_dial(const GuestService& service, std::uint16_t gateway_port);
  std::optional<DatagramKey> free_dial_key(const GuestService& service);

  std::uint16_t next_dial_port_;
  std::array<iovec, kMaxFramePieces> segment_pieces_;
};

}  // namespace microagent::netstack

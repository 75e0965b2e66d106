#pragma once

#include <map>

#include "netstack/testing/sockets.h"
#include "netstack/testing/stack_fixture.h"
#include "wire/udp.h"

namespace microagent::netstack::testing {

inline constexpr std::uint16_t kGuestPort = 4000;
inline constexpr std::uint16_t kServerPort = 7;

// UDP between the guest and a descriptor.
class DatagramFixture : public StackFixture {
 protected:
  static UdpEnds ends(std::uint16_t guest_port = kGuestPort, std::uint16_t server_port = kServerPort,
                      const wire::IpAddress& server = kServer) {
    return {{kGuest, guest_port}, {server, server_port}};
  }
  void send_udp(ByteView payload, const UdpEnds& between = ends()) { send(udp_frame(between, payload)); }
  void send_udp(std::string_view text, const UdpEnds& between = ends()) { send_udp(bytes_of_text(text), between); }

  // The flow of `between` spliced with a pair of message sockets, the other end in `host`.
  FlowId splice_pair(Fd& host, const UdpEnds& between = ends(), int type = SOCK_SEQPACKET) {
    const std::size_t before = upcalls.opened.size();
    send_udp("first", between);
    EXPECT_EQ(upcalls.opened.size(), before + 1);
    const FlowId flow = upcalls.opened.back().flow;
    stack->on_splice(flow, make_pair(type, host));
    stack->flush();
    EXPECT_EQ(receive_from(host), bytes_of_text("first"));
    return flow;
  }
  std::optional<std::string> heard_by(const Fd& host) {
    const auto bytes = receive_from(host);
    return bytes ? std::optional(text_of(*bytes)) : std::nullopt;
  }
  void host_says(const Fd& host, ByteView bytes) {
    ASSERT_TRUE(send_to(host, bytes));
    descriptor_events(EPOLLIN);
  }

  // A datagram as the guest receives it.
  static void expect_udp(const Parsed& frame, const UdpEnds& from_guest, ByteView payload) {
    EXPECT_EQ(frame.protocol, wire::kProtocolUdp);
    EXPECT_EQ(frame.source, from_guest.destination.address);
    EXPECT_EQ(frame.destination, from_guest.source.address);
    const auto header = header_of<wire::UdpHeader>(frame.payload);
    EXPECT_EQ(header.source_port, from_guest.destination.port);
    EXPECT_EQ(header.destination_port, from_guest.source.port);
    ASSERT_EQ(frame.payload.size(), sizeof header + payload.size());
    EXPECT_TRUE(std::ranges::equal(ByteView(frame.payload).subspan(sizeof header), payload));
  }
  // An ICMP error about the guest's datagram between `about`.
  static void expect_error(const Parsed& frame, std::uint8_t type, std::uint8_t code, const UdpEnds& about = ends()) {
    ASSERT_EQ(frame.protocol, about.source.address.is_ipv4() ? wire::kProtocolIcmp : wire::kProtocolIcmpv6);
    ASSERT_GE(frame.payload.size(), 8U + 28U);
    EXPECT_EQ(frame.payload[0], type);
    EXPECT_EQ(frame.payload[1], code);
    const bool ipv4 = about.source.address.is_ipv4();
    const std::size_t at = 8 + (ipv4 ? sizeof(wire::Ipv4Header) : sizeof(wire::Ipv6Header));
    const auto header = header_of<wire::UdpHeader>(frame.payload, at);
    EXPECT_EQ(header.source_port, about.source.port);
    EXPECT_EQ(header.destination_port, about.destination.port);
  }
  // The whole datagram of some fragments, which must come in order.
  static Bytes reassembled(const std::vector<Parsed>& frames, std::size_t mtu = 1500) {
    Bytes whole;
    for (const Parsed& frame : frames) {
      EXPECT_TRUE(frame.is_fragment);
      EXPECT_EQ(frame.fragment_offset, whole.size());
      EXPECT_EQ(frame.identification, frames.front().identification);
      EXPECT_EQ(frame.more_fragments, &frame != &frames.back());
      EXPECT_LE(frame.payload.size() + (frame.source.is_ipv4() ? 20U : 48U), mtu);
      whole.insert(whole.end(), frame.payload.begin(), frame.payload.end());
    }
    return whole;
  }
  // What the guest says when it has no socket for a datagram of ours.
  void refuse_as_guest(const Parsed& datagram, const wire::IpAddress& from) {
    const bool ipv4 = from.is_ipv4();
    const IpFields fields{
        .source = from, .destination = datagram.source, .protocol = ipv4 ? wire::kProtocolIcmp : wire::kProtocolIcmpv6};
    const Bytes quoted = ip_packet({.source = datagram.source, .destination = datagram.destination},
                                   ByteView(datagram.payload).first(8));
    wire::IcmpHeader header;
    header.type = ipv4 ? wire::kIcmpUnreachable : wire::kIcmpv6Unreachable;
    header.code = ipv4 ? wire::kIcmpPort : wire::kIcmpv6Port;
    send(ip_frame(fields, icmp_message(fields, header, quoted)));
  }
};

}  // namespace microagent::netstack::testing

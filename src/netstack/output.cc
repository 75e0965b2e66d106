#include "netstack/output.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/pieces.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ip.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

constexpr std::size_t kEthernetBytes = sizeof(wire::EthernetHeader);

// Copies `bytes` to the front of `pieces`.
void scatter(ByteView bytes, std::span<const iovec> pieces) {
  for (const iovec& piece : pieces) {
    const std::size_t count = std::min(bytes.size(), piece.iov_len);
    if (count == 0) break;
    std::memcpy(piece.iov_base, bytes.data(), count);
    bytes = bytes.subspan(count);
  }
  MICROAGENT_CHECK(bytes.empty());
}

// The front of `pieces`, `bytes` long, as a sum.
void add_front(wire::Checksum& sum, std::span<const iovec> pieces, std::size_t bytes) {
  for (const iovec& piece : pieces) {
    const std::size_t count = std::min(bytes, piece.iov_len);
    sum.add(ByteView(static_cast<const std::uint8_t*>(piece.iov_base), count));
    bytes -= count;
  }
}

void store_be16(std::uint8_t* at, std::uint16_t value) {
  const be16 wire_value = value;
  std::memcpy(at, &wire_value, sizeof wire_value);
}

// A UDP checksum of zero would say that there is none (RFC 768).
std::uint16_t stored_value(const wire::Checksum& sum, std::uint8_t protocol) {
  const std::uint16_t value = sum.value();
  return value == 0 && protocol == wire::kProtocolUdp ? std::uint16_t{0xffff} : value;
}

std::uint8_t gso_type_of(const wire::IpAddress& address) {
  return address.is_ipv4() ? wire::kNetHeaderGsoTcp4 : wire::kNetHeaderGsoTcp6;
}

}  // namespace

std::size_t Output::network_header_bytes() const {
  if (addresses_.source.is_ipv4()) return sizeof(wire::Ipv4Header);
  return sizeof(wire::Ipv6Header) + (fragment_ ? sizeof(wire::Ipv6FragmentHeader) : 0);
}

std::size_t Output::mtu_payload(const wire::IpAddress& to) const {
  return config_.mtu - (to.is_ipv4() ? sizeof(wire::Ipv4Header) : sizeof(wire::Ipv6Header));
}

bool Output::begin(const Addresses& addresses, std::uint8_t protocol, std::size_t header_bytes,
                   std::size_t payload_bytes) {
  MICROAGENT_CHECK(header_bytes <= kMaxTransportHeader);
  addresses_ = addresses;
  protocol_ = protocol;
  transport_header_bytes_ = header_bytes;
  const std::size_t headers = kEthernetBytes + network_header_bytes() + header_bytes;
  const auto room = wire_.reserve(headers + payload_bytes);
  if (room.empty() || room.size() > pieces_.size()) {
    if (!room.empty()) wire_.abandon();
    ++counters_.no_room;
    return false;
  }
  std::ranges::copy(room, pieces_.begin());
  payload_ = std::span(pieces_).first(room.size());
  header_place_count_ = 0;
  for (std::size_t left = headers; left > 0;) {
    const std::size_t count = std::min(left, payload_.front().iov_len);
    header_places_[header_place_count_++] = iovec{payload_.front().iov_base, count};
    payload_ = take_front(payload_, count, nullptr);
    left -= count;
  }
  return true;
}

void Output::encode_network_header(MutableBytes out, std::size_t transport_bytes) {
  if (addresses_.source.is_ipv4()) return encode_ipv4_header(out, transport_bytes);
  encode_ipv6_header(out, transport_bytes);
}

void Output::encode_ipv4_header(MutableBytes out, std::size_t transport_bytes) {
  wire::Ipv4Header header;
  header.total_length = static_cast<std::uint16_t>(sizeof header + transport_bytes);
  header.identification = static_cast<std::uint16_t>(fragment_ ? fragment_->identification : next_identification_++);
  header.flags_and_offset = protocol_ == wire::kProtocolTcp ? wire::kIpv4DontFragment : std::uint16_t{0};
  if (fragment_) {
    header.flags_and_offset = static_cast<std::uint16_t>(fragment_->offset / wire::kFragmentUnit |
                                                         (fragment_->more ? wire::kIpv4MoreFragments : 0U));
  }
  header.time_to_live = hop_limit;
  header.protocol = protocol_;
  header.source = addresses_.source.octets();
  header.destination = addresses_.destination.octets();
  wire::Checksum sum;
  sum.add(bytes_of(header));
  header.checksum = sum.value();
  std::memcpy(out.data(), &header, sizeof header);
}

void Output::encode_ipv6_header(MutableBytes out, std::size_t transport_bytes) {
  wire::Ipv6Header header;
  header.payload_length = static_cast<std::uint16_t>(out.size() - sizeof header + transport_bytes);
  header.next_header = fragment_ ? wire::kProtocolFragment : protocol_;
  header.hop_limit = hop_limit;
  header.source = addresses_.source.bytes;
  header.destination = addresses_.destination.bytes;
  std::memcpy(out.data(), &header, sizeof header);
  if (!fragment_) return;
  wire::Ipv6FragmentHeader fragment;
  fragment.next_header = protocol_;
  fragment.offset_and_more = static_cast<std::uint16_t>(fragment_->offset | (fragment_->more ? 1U : 0U));
  fragment.identification = fragment_->identification;
  std::memcpy(out.data() + sizeof header, &fragment, sizeof fragment);
}

// ICMP (v4) has no pseudo header.
wire::Checksum Output::begin_checksum(std::size_t transport_bytes) const {
  if (protocol_ == wire::kProtocolIcmp) return {};
  return wire::pseudo_header(addresses_.source, addresses_.destination, protocol_, transport_bytes);
}

void Output::finish(MutableBytes header, std::size_t checksum_offset, std::size_t payload_bytes,
                    Segmentation segmentation) {
  Offload offload;
  wire::Checksum sum = begin_checksum(header.size() + payload_bytes);
  // Nobody leaves an ICMP checksum to the other side.
  const bool left_to_guest = (protocol_ == wire::kProtocolTcp || protocol_ == wire::kProtocolUdp) && abilities().csum;
  if (left_to_guest) {
    store_be16(header.data() + checksum_offset, sum.partial());
    offload.flags = wire::kNetHeaderNeedsCsum;
    offload.csum_start = static_cast<std::uint16_t>(kEthernetBytes + network_header_bytes());
    offload.csum_offset = static_cast<std::uint16_t>(checksum_offset);
  } else {
    sum.add(header);
    add_front(sum, payload_, payload_bytes);
    store_be16(header.data() + checksum_offset, stored_value(sum, protocol_));
  }
  if (segmentation.size != 0) {
    offload.gso_type = gso_type_of(addresses_.source);
    offload.gso_size = segmentation.size;
    offload.hdr_len = static_cast<std::uint16_t>(kEthernetBytes + network_header_bytes() + header.size());
  }
  commit(header, payload_bytes, offload);
}

void Output::commit(ByteView header, std::size_t payload_bytes, const Offload& offload) {
  MICROAGENT_CHECK(header.size() == transport_header_bytes_);
  const std::size_t network_bytes = network_header_bytes();
  std::array<std::uint8_t, kMaxHeaders> headers;
  const wire::EthernetHeader ethernet{config_.guest_mac, config_.gateway_mac,
                                      addresses_.source.is_ipv4() ? wire::kEtherTypeIpv4 : wire::kEtherTypeIpv6};
  std::memcpy(headers.data(), &ethernet, sizeof ethernet);
  encode_network_header(MutableBytes(headers).subspan(kEthernetBytes, network_bytes), header.size() + payload_bytes);
  std::ranges::copy(header, headers.begin() + kEthernetBytes + network_bytes);
  const std::size_t header_bytes = kEthernetBytes + network_bytes + header.size();
  scatter(ByteView(headers).first(header_bytes), std::span(header_places_).first(header_place_count_));
  wire_.commit(header_bytes + payload_bytes, offload);
  ++counters_.frames_out;
}

bool Output::send(const Addresses& addresses, std::uint8_t protocol, MutableBytes header, std::size_t checksum_offset,
                  ByteView payload) {
  if (!begin(addresses, protocol, header.size(), payload.size())) return false;
  scatter(payload, payload_);
  finish(header, checksum_offset, payload.size(), {});
  return true;
}

bool Output::send_datagram(const Addresses& addresses, std::uint8_t protocol, MutableBytes datagram,
                           std::size_t checksum_offset) {
  if (datagram.size() <= mtu_payload(addresses.source)) {
    const std::size_t header_bytes = checksum_offset + sizeof(be16);
    return send(addresses, protocol, datagram.first(header_bytes), checksum_offset, datagram.subspan(header_bytes));
  }
  addresses_ = addresses;
  protocol_ = protocol;
  store_be16(datagram.data() + checksum_offset, 0);
  wire::Checksum sum = begin_checksum(datagram.size());
  sum.add(datagram);
  store_be16(datagram.data() + checksum_offset, stored_value(sum, protocol));
  const bool sent = send_fragments(datagram);
  fragment_.reset();
  return sent;
}

bool Output::send_fragments(ByteView datagram) {
  fragment_ = Fragment{.identification = next_identification_++};
  const std::size_t room = config_.mtu - network_header_bytes();
  const std::size_t step = room / wire::kFragmentUnit * wire::kFragmentUnit;
  while (!datagram.empty()) {
    // Only the last one may fill the room that is no whole unit.
    fragment_->more = datagram.size() > room;
    const ByteView part = datagram.first(fragment_->more ? step : datagram.size());
    if (!begin(addresses_, protocol_, 0, part.size())) return false;
    scatter(part, payload_);
    commit({}, part.size(), {});
    fragment_->offset += part.size();
    datagram = datagram.subspan(part.size());
  }
  return true;
}

bool Output::send_frame(std::uint16_t ether_type, ByteView payload) {
  const auto room = wire_.reserve(kEthernetBytes + payload.size());
  if (room.empty() || room.size() > pieces_.size()) {
    if (!room.empty()) wire_.abandon();
    ++counters_.no_room;
    return false;
  }
  const wire::EthernetHeader ethernet{config_.guest_mac, config_.gateway_mac, ether_type};
  std::ranges::copy(room, pieces_.begin());
  auto rest = std::span(pieces_).first(room.size());
  // Written in two goes, since the header may be cut anyhow.
  std::array<std::uint8_t, kEthernetBytes> header;
  std::memcpy(header.data(), &ethernet, sizeof ethernet);
  scatter(header, rest);
  rest = take_front(rest, header.size(), nullptr);
  scatter(payload, rest);
  wire_.commit(header.size() + payload.size(), {});
  ++counters_.frames_out;
  return true;
}

}  // namespace microagent::netstack

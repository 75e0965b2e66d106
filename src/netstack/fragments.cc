#include "netstack/fragments.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/pieces.h"
#include "netstack/icmp_errors.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip.h"

namespace microagent::netstack {
namespace {

constexpr std::size_t kMaxPacket = 65'535;

// The header of the whole datagram, of the first fragment's.
void make_whole_header(MutableBytes header, std::size_t payload_bytes, std::uint8_t protocol) {
  if (header[0] >> 4 == 4) {
    wire::Ipv4Header ipv4;
    std::memcpy(&ipv4, header.data(), sizeof ipv4);
    ipv4.total_length = static_cast<std::uint16_t>(header.size() + payload_bytes);
    ipv4.flags_and_offset = 0;
    ipv4.checksum = 0;
    std::memcpy(header.data(), &ipv4, sizeof ipv4);
    wire::Checksum sum;
    sum.add(header);
    ipv4.checksum = sum.value();
    std::memcpy(header.data(), &ipv4, sizeof ipv4);
    return;
  }
  wire::Ipv6Header ipv6;
  std::memcpy(&ipv6, header.data(), sizeof ipv6);
  ipv6.payload_length = static_cast<std::uint16_t>(payload_bytes);
  ipv6.next_header = protocol;
  std::memcpy(header.data(), &ipv6, sizeof ipv6);
}

}  // namespace

std::optional<Packet> Fragments::add(const Packet& fragment, const Place& place) {
  // All but the last end on a unit, and the whole must be a packet.
  const std::size_t header_bytes = fragment.source.is_ipv4() ? fragment.network_header.size() : 0;
  if (fragment.bytes == 0 || (place.more && fragment.bytes % wire::kFragmentUnit != 0) ||
      place.offset + fragment.bytes > kMaxPacket - header_bytes) {
    ++environment_.counters.malformed;
    return std::nullopt;
  }
  Pending& pending = find_or_begin(fragment, place);
  if (pending.spoiled || is_repeated(pending, fragment, place)) return std::nullopt;
  if (!copy_in(pending, fragment, place)) {
    ++environment_.counters.malformed;
    spoil(pending);
    return std::nullopt;
  }
  return take_whole(pending);
}

Fragments::Pending& Fragments::find_or_begin(const Packet& fragment, const Place& place) {
  // IPv6 fragments are told apart without their protocol (RFC 8200, 4.5).
  const auto known = std::ranges::find_if(pending_, [&](const Pending& one) {
    return one.identification == place.identification && one.source == fragment.source &&
           one.destination == fragment.destination && (!one.source.is_ipv4() || one.protocol == fragment.protocol);
  });
  if (known != pending_.end()) return *known;
  if (pending_.size() == kMaxPending) remove(0);
  Pending& pending = pending_.emplace_back();
  pending.source = fragment.source;
  pending.destination = fragment.destination;
  pending.protocol = fragment.protocol;
  pending.identification = place.identification;
  pending.deadline_ns = environment_.now_ns + kTimeoutNs;
  return pending;
}

// Lies within what was received, and is the same: some drivers and switches send things twice.
bool Fragments::is_repeated(const Pending& pending, const Packet& fragment, const Place& place) const {
  const std::size_t end = place.offset + fragment.bytes;
  const bool within = std::ranges::any_of(
      pending.parts, [&](const Part& part) { return part.begin <= place.offset && end <= part.end; });
  if (!within || (!place.more && pending.total != end)) return false;
  const std::uint8_t* at = pending.bytes.data() + place.offset;
  for (const iovec& piece : fragment.payload) {
    if (std::memcmp(at, piece.iov_base, piece.iov_len) != 0) return false;
    at += piece.iov_len;
  }
  return true;
}

// False when the fragment does not fit to the others.
bool Fragments::copy_in(Pending& pending, const Packet& fragment, const Place& place) {
  const Part part{place.offset, place.offset + fragment.bytes};
  if (pending.total && (part.end > *pending.total || !place.more)) return false;
  if (!place.more && !pending.parts.empty() && pending.parts.back().end > part.end) return false;
  auto next = std::ranges::find_if(pending.parts, [&](const Part& other) { return other.end >= part.begin; });
  const bool joins_before = next != pending.parts.end() && next->end == part.begin;
  if (joins_before) ++next;
  if (next != pending.parts.end() && next->begin < part.end) return false;

  if (part.end > pending.bytes.size()) {
    if (!make_room(pending, part.end - pending.bytes.size())) return false;
    pending.bytes.resize(part.end);
  }
  copy_front(fragment.payload, MutableBytes(pending.bytes).subspan(part.begin, fragment.bytes));
  if (place.offset == 0) {
    pending.header_bytes = fragment.network_header.size();
    std::ranges::copy(fragment.network_header, pending.header.begin());
    pending.hop_limit = fragment.hop_limit;
    pending.protocol = fragment.protocol;
    pending.quote = quote_of(fragment);
    // As it would be without the fragment header.
    if (!fragment.source.is_ipv4()) pending.quote.bytes[offsetof(wire::Ipv6Header, next_header)] = fragment.protocol;
  }
  if (!place.more) pending.total = part.end;

  const bool joins_after = next != pending.parts.end() && next->begin == part.end;
  if (joins_before && joins_after) {
    std::prev(next)->end = next->end;
    pending.parts.erase(next);
  } else if (joins_before) {
    std::prev(next)->end = part.end;
  } else if (joins_after) {
    next->begin = part.begin;
  } else {
    if (pending.parts.size() == kMaxParts) return false;
    pending.parts.insert(next, part);
  }
  return true;
}

// Accounts for `bytes` more of the datagram `keep`; others, the oldest first, give way.
bool Fragments::make_room(const Pending& keep, std::size_t bytes) {
  for (Pending& other : pending_) {
    if (bytes_ + bytes <= kMaxBytes) break;
    if (&other != &keep) spoil(other);
  }
  if (bytes_ + bytes > kMaxBytes) return false;
  bytes_ += bytes;
  return true;
}

void Fragments::spoil(Pending& pending) {
  pending.spoiled = true;
  bytes_ -= pending.bytes.size();
  pending.bytes = {};
  pending.parts = {};
}

void Fragments::remove(std::size_t index) {
  bytes_ -= pending_[index].bytes.size();
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
}

std::optional<Packet> Fragments::take_whole(Pending& pending) {
  const bool whole = pending.total && pending.parts.size() == 1 && pending.parts.front().begin == 0 &&
                     pending.parts.front().end == *pending.total;
  if (!whole) return std::nullopt;
  const bool too_large = pending.source.is_ipv4() && pending.header_bytes + pending.bytes.size() > kMaxPacket;
  if (too_large) return spoil(pending), std::nullopt;
  const auto index = static_cast<std::size_t>(&pending - pending_.data());
  whole_ = std::move(pending);
  bytes_ -= whole_.bytes.size();
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));

  const MutableBytes header = MutableBytes(whole_.header).first(whole_.header_bytes);
  make_whole_header(header, whole_.bytes.size(), whole_.protocol);
  whole_piece_ = iovec{whole_.bytes.data(), whole_.bytes.size()};
  return Packet{.source = whole_.source,
                .destination = whole_.destination,
                .protocol = whole_.protocol,
                .hop_limit = whole_.hop_limit,
                .payload = {&whole_piece_, 1},
                .bytes = whole_.bytes.size(),
                .short_lived = true,
                .network_header = header};
}

void Fragments::on_time() {
  while (!pending_.empty() && pending_.front().deadline_ns <= environment_.now_ns) {
    const Pending& late = pending_.front();
    const bool is_icmp = late.protocol == wire::kProtocolIcmp || late.protocol == wire::kProtocolIcmpv6;
    if (!late.spoiled && !is_icmp) {
      (void)environment_.icmp_errors.send(late.quote, time_exceeded(wire::kIcmpReassembly, late.source.family));
    }
    remove(0);
  }
}

std::optional<std::uint64_t> Fragments::next_deadline() const {
  if (pending_.empty()) return std::nullopt;
  return pending_.front().deadline_ns;
}

}  // namespace microagent::netstack

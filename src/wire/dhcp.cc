#include "wire/dhcp.h"

#include <algorithm>
#include <cstring>

namespace microagent::wire {
namespace {

enum Option : std::uint8_t {
  kPad = 0,
  kSubnetMask = 1,
  kRouter = 3,
  kResolvers = 6,
  kMtu = 26,
  kBroadcastAddress = 28,
  kRequestedAddress = 50,
  kLeaseSeconds = 51,
  kKind = 53,
  kServer = 54,
  kRenewalSeconds = 58,
  kRebindingSeconds = 59,
  kClientIdentifier = 61,
  kEnd = 255,
};

constexpr std::size_t kMaxResolvers = 8;
// Old clients expect no less (RFC 951; RFC 1542, 2.1).
constexpr std::size_t kMinReply = 300;

bool read_address(ByteView value, std::optional<Ipv4Octets>& out) {
  Reader reader(value);
  Ipv4Octets octets{};
  if (!reader.read(octets) || reader.left() != 0) return false;
  if (!out) out = octets;
  return true;
}

bool read_option(std::uint8_t option, ByteView value, DhcpMessage& out) {
  switch (option) {
    case kKind:
      if (value.size() != 1) return false;
      if (out.kind == DhcpKind{}) out.kind = static_cast<DhcpKind>(value[0]);
      return true;
    case kRequestedAddress: return read_address(value, out.requested_address);
    case kServer: return read_address(value, out.server);
    case kClientIdentifier:
      if (out.client_identifier.empty()) out.client_identifier = value;
      return true;
    default: return true;
  }
}

bool read_options(Reader& reader, DhcpMessage& out) {
  std::uint8_t option = 0, length = 0;
  while (reader.read(option) && option != kEnd) {
    if (option == kPad) continue;
    ByteView value;
    if (!reader.read(length) || !reader.take(length, value) || !read_option(option, value, out)) return false;
  }
  return true;
}

// Writes options one after the other. The room is enough by kMaxDhcpReply.
class Options {
 public:
  explicit Options(Writer& writer) : writer_(writer) {}

  void add(Option option, ByteView value) {
    const std::array<std::uint8_t, 2> start{option, static_cast<std::uint8_t>(value.size())};
    if (writer_.left() < start.size() + value.size()) return;
    (void)writer_.write(ByteView(start));
    (void)writer_.write(value);
  }
  void add_number(Option option, std::uint32_t value) { add(option, bytes_of(be32(value))); }

 private:
  Writer& writer_;
};

void add_network(Options& options, const Ipv4Octets& network_of, const DhcpTerms& terms) {
  const std::uint32_t hosts = terms.prefix_length >= 32 ? 0 : ~std::uint32_t{0} >> terms.prefix_length;
  be32 address;
  std::memcpy(&address, network_of.data(), sizeof address);
  options.add_number(kSubnetMask, ~hosts);
  options.add_number(kBroadcastAddress, address | hosts);
  options.add(kRouter, terms.router);
  std::array<Ipv4Octets, kMaxResolvers> resolvers{};
  const std::size_t count = std::min(terms.resolvers.size(), resolvers.size());
  std::ranges::copy(terms.resolvers.first(count), resolvers.begin());
  if (count > 0) options.add(kResolvers, bytes_of(resolvers).first(count * sizeof(Ipv4Octets)));
  options.add(kMtu, bytes_of(be16(terms.mtu)));
}

}  // namespace

std::optional<DhcpMessage> parse_dhcp(ByteView bytes) {
  Reader reader(bytes);
  DhcpMessage message;
  if (!reader.read(message.header)) return std::nullopt;
  const DhcpHeader& header = message.header;
  if (header.operation != DhcpHeader::kRequest || header.magic != DhcpHeader::kMagic) return std::nullopt;
  if (header.hardware_type != 1 || header.hardware_length != 6) return std::nullopt;
  if (!read_options(reader, message) || message.kind == DhcpKind{}) return std::nullopt;
  return message;
}

std::size_t encode_dhcp_reply(const DhcpMessage& request, DhcpKind kind, const Ipv4Octets& address,
                              const DhcpTerms& terms, MutableBytes out) {
  DhcpHeader header;
  header.operation = DhcpHeader::kReply;
  header.transaction = request.header.transaction;
  header.flags = request.header.flags;
  header.hardware_address = request.header.hardware_address;
  const bool refused = kind == DhcpKind::refuse;
  if (!refused) {
    header.client = request.header.client;
    header.yours = address;
  }
  Writer writer(out);
  (void)writer.write(header);
  Options options(writer);
  options.add(kKind, bytes_of(kind));
  options.add(kServer, terms.server);
  if (!refused && terms.lease_seconds != 0) {
    options.add_number(kLeaseSeconds, terms.lease_seconds);
    options.add_number(kRenewalSeconds, terms.lease_seconds / 2);
    options.add_number(kRebindingSeconds, terms.lease_seconds / 8 * 7);
  }
  if (!refused) add_network(options, terms.router, terms);
  // RFC 6842: so that the client knows its answer.
  if (!request.client_identifier.empty()) options.add(kClientIdentifier, request.client_identifier);
  (void)writer.write(std::uint8_t{kEnd});
  constexpr std::array<std::uint8_t, kMinReply> kZeros{};
  const std::size_t written = writer.written();
  if (written < kMinReply) (void)writer.write(ByteView(kZeros).first(kMinReply - written));
  return writer.written();
}

}  // namespace microagent::wire

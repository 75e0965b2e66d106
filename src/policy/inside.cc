#include "policy/inside.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace microagent::policy {
namespace {

struct Range {
  Cidr cidr;
  std::string_view name;
};

Range range(std::string_view cidr, std::string_view name) {
  const auto parsed = parse_cidr(cidr);
  MICROAGENT_CHECK(parsed);
  return {*parsed, name};
}

// The IANA special-purpose registries (RFC 6890 and its updates) but for the documentation nets, which are public here:
// nothing lives there, and tests build their internet from them.
const std::vector<Range>& ranges() {
  static const std::vector<Range> all{
      range("0.0.0.0/8", "this network"),             // RFC 791, 3.2
      range("10.0.0.0/8", "private"),                 // RFC 1918
      range("100.64.0.0/10", "carrier-grade NAT"),    // RFC 6598
      range("127.0.0.0/8", "loopback"),               // RFC 1122, 3.2.1.3
      range("169.254.0.0/16", "link-local"),          // RFC 3927; cloud metadata lives here
      range("172.16.0.0/12", "private"),              // RFC 1918
      range("192.0.0.0/24", "protocol assignments"),  // RFC 6890, 2.1
      range("192.168.0.0/16", "private"),             // RFC 1918
      range("198.18.0.0/15", "benchmarking"),         // RFC 2544
      range("224.0.0.0/4", "multicast"),              // RFC 5771
      range("255.255.255.255/32", "broadcast"),       // RFC 919, 7
      range("240.0.0.0/4", "reserved"),               // RFC 1112, 4
      range("::/128", "unspecified"),                 // RFC 4291, 2.5.2
      range("::1/128", "loopback"),                   // RFC 4291, 2.5.3
      range("64:ff9b:1::/48", "local NAT64"),         // RFC 8215: reaches whatever the local translator maps
      range("fc00::/7", "unique local"),              // RFC 4193
      range("fe80::/10", "link-local"),               // RFC 4291, 2.5.6
      range("fec0::/10", "site-local"),               // RFC 3879
      range("ff00::/8", "multicast"),                 // RFC 4291, 2.7
  };
  return all;
}

// A way to carry an IPv4 address in an IPv6 one: where its four bytes stand, and whether they are inverted.
struct Carrier {
  Range range;
  std::size_t offset;
  bool inverted;
};

const std::vector<Carrier>& carriers() {
  static const std::vector<Carrier> all{
      {range("::ffff:0:0/96", "IPv4-mapped"), 12, false},        // RFC 4291, 2.5.5.2
      {range("::ffff:0:0:0/96", "IPv4-translated"), 12, false},  // RFC 2765, 2.1
      {range("::/96", "IPv4-compatible"), 12, false},            // RFC 4291, 2.5.5.1
      {range("64:ff9b::/96", "NAT64"), 12, false},               // RFC 6052, 2.1
      {range("2002::/16", "6to4"), 2, false},                    // RFC 3056, 2
      {range("2001::/32", "Teredo server"), 4, false},           // RFC 4380, 4
      {range("2001::/32", "Teredo client"), 12, true},           // RFC 4380, 4
  };
  return all;
}

Address carried(const Address& address, const Carrier& carrier) {
  std::array<std::uint8_t, 4> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const std::uint8_t byte = address.bytes[carrier.offset + i];
    octets[i] = carrier.inverted ? static_cast<std::uint8_t>(~byte) : byte;
  }
  return Address::ipv4(octets);
}

std::optional<std::string> inside_itself(const Address& address, const Surroundings& surroundings) {
  if (surroundings.subnet && surroundings.subnet->contains(address)) {
    return "the workspace's own subnet " + to_string(*surroundings.subnet);
  }
  for (const Range& candidate : ranges()) {
    if (candidate.cidr.contains(address)) return std::string(candidate.name) + " " + to_string(candidate.cidr);
  }
  if (surroundings.host.contains(address)) return "an address of the host";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> inside(const Address& address, const Surroundings& surroundings) {
  if (auto reason = inside_itself(address, surroundings)) return reason;
  for (const Carrier& carrier : carriers()) {
    if (!carrier.range.cidr.contains(address)) continue;
    auto reason = inside_itself(carried(address, carrier), surroundings);
    if (reason) return std::string(carrier.range.name) + " of " + *reason;
  }
  return std::nullopt;
}

bool is_loopback(const Address& address) {
  static const std::array loops{range("127.0.0.0/8", "").cidr, range("0.0.0.0/8", "").cidr, range("::1/128", "").cidr,
                                range("::/128", "").cidr};
  const auto loops_back = [](const Address& candidate) {
    return std::ranges::any_of(loops, [&](const Cidr& cidr) { return cidr.contains(candidate); });
  };
  if (loops_back(address)) return true;
  return std::ranges::any_of(carriers(), [&](const Carrier& carrier) {
    return carrier.range.cidr.contains(address) && loops_back(carried(address, carrier));
  });
}

}  // namespace microagent::policy

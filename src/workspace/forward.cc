#include "workspace/forward.h"

#include <fmt/format.h>

#include <optional>

#include "workspace/ip.h"

namespace microagent::workspace {
namespace {

constexpr const char* kForm = "write [HOST:]HOSTPORT:GUESTPORT[/tcp|/udp], such as 127.0.0.1:8080:80/tcp";

struct PortRange {
  std::uint32_t first = 0, last = 0;
  std::uint32_t count() const { return last - first + 1; }
};

tl::unexpected<Error> malformed(std::string message) { return fail(ErrorKind::usage, std::move(message), kForm); }

Result<PortRange> parse_ports(std::string_view text, std::string_view side) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash), 65535);
  const auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), 65535);
  if (!first || !last) {
    return malformed(fmt::format("{} port \"{}\" is not a number up to 65535 or a range of them", side, text));
  }
  if (*first > *last) return malformed(fmt::format("{} port range \"{}\" runs backwards", side, text));
  if (*first == 0 && (side == "guest" || *last != 0)) {
    return malformed(fmt::format("{} port \"{}\": 0 is not a port{}", side, text,
                                 side == "guest" ? "" : "; alone it takes a free one"));
  }
  return PortRange{*first, *last};
}

Result<Transport> parse_protocol(std::string_view text) {
  if (text.empty() || text == "tcp") return Transport::tcp;
  if (text == "udp") return Transport::udp;
  return malformed(fmt::format("protocol \"{}\" is neither tcp nor udp", text));
}

// The host in front of a mapping, without brackets; `rest` keeps the ports.
std::optional<std::string_view> take_host(std::string_view& rest) {
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find("]:");
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 2);
    // Brackets are for IPv6 alone, and never empty.
    return host.find(':') == std::string_view::npos ? std::nullopt : std::optional(host);
  }
  const std::size_t last = rest.rfind(':');
  const std::size_t before = last == std::string_view::npos || last == 0 ? last : rest.rfind(':', last - 1);
  if (before == std::string_view::npos || before == last) return std::string_view();
  const std::string_view host = rest.substr(0, before);
  rest.remove_prefix(before + 1);
  return host.find(':') == std::string_view::npos ? std::optional(host) : std::nullopt;
}

bool is_ipv6(std::string_view host) { return host.find(':') != std::string_view::npos; }

}  // namespace

Result<std::vector<Forward>> expand(const ForwardText& text) {
  Forward forward;
  const auto protocol = parse_protocol(text.protocol);
  if (!protocol) return fail(protocol.error());
  forward.protocol = *protocol;
  if (!text.host.empty()) {
    const auto host = canonical_ip(text.host);
    if (!host) return malformed(fmt::format("host \"{}\" is not an IP address", text.host));
    forward.host = *host;
  }
  const auto hosts = parse_ports(text.host_ports, "host");
  if (!hosts) return fail(hosts.error());
  const auto guests = parse_ports(text.guest_ports, "guest");
  if (!guests) return fail(guests.error());
  if (hosts->count() != guests->count()) {
    return malformed(fmt::format("{} host ports cannot lead to {} guest ports", hosts->count(), guests->count()));
  }
  if (hosts->count() > kMaxForwards) {
    return malformed(fmt::format("{} ports are more than a workspace may publish ({})", hosts->count(), kMaxForwards));
  }

  std::vector<Forward> forwards;
  for (std::uint32_t i = 0; i < hosts->count(); ++i) {
    forward.host_port = static_cast<std::uint16_t>(hosts->first + i);
    forward.guest_port = static_cast<std::uint16_t>(guests->first + i);
    forwards.push_back(forward);
  }
  return forwards;
}

Result<std::vector<Forward>> parse_publish(std::string_view mapping) {
  ForwardText text;
  std::string_view rest = mapping;
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    text.protocol = rest.substr(slash + 1);
    if (text.protocol.empty()) return malformed("a protocol is missing behind the slash");
    rest = rest.substr(0, slash);
  }
  const auto host = take_host(rest);
  const std::size_t colon = rest.find(':');
  if (!host || colon == std::string_view::npos || rest.find(':', colon + 1) != std::string_view::npos) {
    return malformed("is not a port mapping");
  }
  text.host = *host;
  text.host_ports = rest.substr(0, colon);
  text.guest_ports = rest.substr(colon + 1);
  return expand(text);
}

std::string describe(const Forward& forward) {
  return fmt::format(fmt::runtime(is_ipv6(forward.host) ? "[{}]:{}:{}/{}" : "{}:{}:{}/{}"), forward.host,
                     forward.host_port, forward.guest_port, to_string(forward.protocol));
}

bool collide(const Forward& one, const Forward& other) {
  if (one.protocol != other.protocol || one.host_port != other.host_port || one.host_port == 0) return false;
  if (one.host == other.host || one.host == "::" || other.host == "::") return true;
  if (is_ipv6(one.host) || is_ipv6(other.host)) return false;
  return one.host == "0.0.0.0" || other.host == "0.0.0.0";
}

}  // namespace microagent::workspace

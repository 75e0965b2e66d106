#include "netd/standalone.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "netd/permissive.h"
#include "netd/tap_port.h"

namespace microagent::netd {
namespace {

using Ipv4 = std::array<std::uint8_t, 4>;
using Ipv6 = std::array<std::uint8_t, 16>;

struct Options {
  std::string tap;
  std::string guest = "192.168.64.2/24", gateway = "192.168.64.1", dns;
  std::string guest6, gateway6;  // both or neither
  std::string guest_mac = "02:6d:61:00:00:02";
  std::uint16_t mtu = 1500;
  std::vector<std::string> publish;
};

tl::unexpected<Error> bad(std::string_view flag, std::string_view value, const char* wanted) {
  return fail(ErrorKind::usage, fmt::format("{} {}: {}", flag, value, wanted));
}

std::optional<unsigned> parse_number(std::string_view text, unsigned most) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > most) return std::nullopt;
  return number;
}

std::optional<Ipv4> parse_ipv4(const std::string& text) {
  Ipv4 address{};
  if (::inet_pton(AF_INET, text.c_str(), address.data()) != 1) return std::nullopt;
  return address;
}

std::optional<Ipv6> parse_ipv6(const std::string& text) {
  Ipv6 address{};
  if (::inet_pton(AF_INET6, text.c_str(), address.data()) != 1) return std::nullopt;
  return address;
}

Result<Options> parse(std::span<char*> words) {
  Options options;
  for (; words.size() >= 2; words = words.subspan(2)) {
    const std::string_view flag = words[0];
    const std::string value = words[1];
    if (flag == "--tap") options.tap = value;
    else if (flag == "--guest") options.guest = value;
    else if (flag == "--guest-mac") options.guest_mac = value;
    else if (flag == "--gateway") options.gateway = value;
    else if (flag == "--guest6") options.guest6 = value;
    else if (flag == "--gateway6") options.gateway6 = value;
    else if (flag == "--dns") options.dns = value;
    else if (flag == "--publish") options.publish.push_back(value);
    else if (flag == "--mtu") {
      const auto mtu = parse_number(value, 65'535);
      if (!mtu || *mtu < 576) return bad(flag, value, "give a number from 576 to 65535");
      options.mtu = static_cast<std::uint16_t>(*mtu);
    } else return fail(ErrorKind::usage, fmt::format("unknown flag {}", flag), Standalone::usage());
  }
  if (!words.empty()) return fail(ErrorKind::usage, fmt::format("{} lacks its value", words[0]), Standalone::usage());
  return options;
}

// An address and the length of its prefix, as in 192.0.2.1/24.
template <typename Address>
struct Network {
  Address address;
  std::uint8_t length = 0;
};

template <typename Address>
std::optional<Network<Address>> parse_network(const std::string& text,
                                              std::optional<Address> (*parse_address)(const std::string&)) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const auto length = parse_number(std::string_view(text).substr(slash + 1), 8 * sizeof(Address));
  if (!address || !length) return std::nullopt;
  return Network<Address>{*address, static_cast<std::uint8_t>(*length)};
}

Status configure_ipv6(const Options& options, flow::Configure& configure) {
  constexpr std::uint16_t kMinMtu = 1280;  // RFC 8200, 5
  const auto guest = parse_network(options.guest6, &parse_ipv6);
  if (!guest) return bad("--guest6", options.guest6, "give an IPv6 address with its prefix length");
  const auto gateway = parse_ipv6(options.gateway6);
  if (!gateway) return bad("--gateway6", options.gateway6, "give an IPv6 address");
  if (options.mtu < kMinMtu) return bad("--mtu", std::to_string(options.mtu), "IPv6 needs 1280 at least");
  configure.has_ipv6 = 1;
  configure.guest_ip6 = guest->address;
  configure.prefix_length6 = guest->length;
  configure.gateway_ip6 = *gateway;
  return {};
}

Result<flow::Configure> configure_of(const Options& options) {
  flow::Configure configure;
  const auto guest = parse_network(options.guest, &parse_ipv4);
  if (!guest) return bad("--guest", options.guest, "give an address with its prefix length");
  const auto gateway = parse_ipv4(options.gateway);
  if (!gateway) return bad("--gateway", options.gateway, "give an IPv4 address");
  auto& mac = configure.guest_mac;
  if (std::sscanf(options.guest_mac.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2], &mac[3],
                  &mac[4], &mac[5]) != 6) {
    return bad("--guest-mac", options.guest_mac, "give six bytes in hexadecimal with colons between");
  }
  configure.guest_ip = guest->address;
  configure.gateway_ip = *gateway;
  configure.gateway_mac = {0x02, 0x6d, 0x61, 0x00, 0x00, 0x01};
  configure.prefix_length = guest->length;
  configure.mtu = options.mtu;
  configure.dns[0] = *gateway;
  configure.dns_count = 1;
  if (options.guest6.empty() && options.gateway6.empty()) return configure;
  if (options.guest6.empty() || options.gateway6.empty()) {
    return fail(ErrorKind::usage, "--guest6 and --gateway6 need each other", Standalone::usage());
  }
  if (Status configured = configure_ipv6(options, configure); !configured) return fail(configured.error());
  return configure;
}

Result<Fd> open_tap_of(const std::string& tap) {
  const auto number = parse_number(tap, 1'000'000);
  if (!number) return open_tap(tap.c_str());
  if (Status set_up = set_up_tap(static_cast<int>(*number)); !set_up) return fail(set_up.error());
  return Fd(static_cast<int>(*number));
}

// Where to listen: ADDRESS, or [ADDRESS] of IPv6.
struct Place {
  sockaddr_storage address{};
  socklen_t size = 0;
};

std::optional<Place> parse_place(std::string host, std::uint16_t port) {
  Place place;
  if (host.starts_with('[') && host.ends_with(']')) {
    const auto ipv6 = parse_ipv6(host.substr(1, host.size() - 2));
    if (!ipv6) return std::nullopt;
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    std::memcpy(&address.sin6_addr, ipv6->data(), ipv6->size());
    std::memcpy(&place.address, &address, place.size = sizeof address);
    return place;
  }
  const auto ipv4 = parse_ipv4(host);
  if (!ipv4) return std::nullopt;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  std::memcpy(&address.sin_addr, ipv4->data(), ipv4->size());
  std::memcpy(&place.address, &address, place.size = sizeof address);
  return place;
}

// HOST:HOSTPORT:GUESTPORT, TCP.
Result<Permissive::Published> listen_for(const std::string& mapping) {
  const std::size_t last = mapping.rfind(':');
  const std::size_t first = last == std::string::npos ? last : mapping.rfind(':', last - 1);
  constexpr const char* kForm = "write ADDRESS:HOSTPORT:GUESTPORT, an IPv6 address in brackets";
  if (first == std::string::npos) return bad("--publish", mapping, kForm);
  const auto host_port = parse_number(std::string_view(mapping).substr(first + 1, last - first - 1), 65'535);
  const auto guest_port = parse_number(std::string_view(mapping).substr(last + 1), 65'535);
  if (!host_port || !guest_port) return bad("--publish", mapping, kForm);
  const auto place = parse_place(mapping.substr(0, first), static_cast<std::uint16_t>(*host_port));
  if (!place) return bad("--publish", mapping, kForm);
  Fd listener(::socket(place->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!listener || ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&place->address), place->size) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0) {
    return fail_errno(errno, fmt::format("--publish {}", mapping));
  }
  return Permissive::Published{.listener = std::move(listener),
                               .guest_port = static_cast<std::uint16_t>(*guest_port),
                               .by_ipv6 = place->address.ss_family == AF_INET6};
}

// The first IPv4 resolver of the host, unless one is given.
std::optional<Ipv4> resolver_of(const Options& options) {
  if (!options.dns.empty()) return parse_ipv4(options.dns);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/etc/resolv.conf", "re"), &std::fclose);
  std::array<char, 256> line{};
  std::array<char, 64> address{};
  while (file && std::fgets(line.data(), line.size(), file.get()) != nullptr) {
    if (std::sscanf(line.data(), "nameserver %63s", address.data()) != 1) continue;
    if (const auto parsed = parse_ipv4(address.data())) return parsed;
  }
  return std::nullopt;
}

}  // namespace

const char* Standalone::usage() {
  return "microagent-netd --tap NAME|FD [--guest CIDR] [--guest-mac MAC] [--gateway ADDRESS] [--dns ADDRESS] [--mtu N] "
         "[--guest6 CIDR --gateway6 ADDRESS] [--publish ADDRESS:HOSTPORT:GUESTPORT]...";
}

Result<Standalone::Channels> Standalone::start(std::span<char*> words) {
  const auto options = parse(words);
  if (!options) return fail(options.error());
  const auto configure = configure_of(*options);
  if (!configure) return fail(configure.error());
  Permissive::Options permissive{.gateway = configure->gateway_ip, .resolver = resolver_of(*options)};
  if (configure->has_ipv6 != 0) permissive.gateway6 = configure->gateway_ip6;
  for (const std::string& mapping : options->publish) {
    auto published = listen_for(mapping);
    if (!published) return fail(published.error());
    permissive.published.push_back(std::move(*published));
  }
  auto tap = open_tap_of(options->tap);
  if (!tap) return fail(tap.error());
  auto mediator = flow::Channel::make_pair();
  if (!mediator) return fail(mediator.error());
  auto supervisor = flow::Channel::make_pair();
  if (!supervisor) return fail(supervisor.error());

  const pid_t netd = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "cannot start the process that dials");
  if (child != 0) return Channels{supervisor->first.release(), mediator->first.release()};

  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != netd) ::_exit(EXIT_FAILURE);
  mediator->first.reset();
  supervisor->first.reset();
  flow::Channel first(Fd(::dup(supervisor->second.get())));
  const bool told = first.send(0, *configure) && first.send(0, flow::Attach{flow::Device::tap}, tap->get());
  tap->reset();
  Status served =
      told ? Permissive(std::move(mediator->second), std::move(supervisor->second), std::move(permissive)).run()
           : fail(ErrorKind::permanent, "netd does not take its tap");
  if (!served) log_error("{}", served.error().message);
  ::_exit(served ? EXIT_SUCCESS : EXIT_FAILURE);
}

}  // namespace microagent::netd

#include "workspace/ip.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <charconv>

namespace microagent::workspace {

std::optional<Ipv4> parse_ipv4(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  in_addr address{};
  if (::inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string to_text(Ipv4 address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

std::optional<Ipv4Prefix> parse_ipv4_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_ipv4(text.substr(0, slash));
  const auto length = parse_number(text.substr(slash + 1), 32);
  if (!address || !length) return std::nullopt;
  return Ipv4Prefix{*address, *length};
}

std::string network_text(const Ipv4Prefix& prefix) {
  return fmt::format("{}/{}", to_text(prefix.network()), prefix.length);
}

bool is_unicast(Ipv4 address) {
  const std::uint32_t first = address >> 24;
  return first != 0 && first != 127 && first < 224;
}

std::optional<std::string> canonical_ip(std::string_view text) {
  if (const auto ipv4 = parse_ipv4(text)) return to_text(*ipv4);
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  in6_addr address{};
  if (::inet_pton(AF_INET6, std::string(text).c_str(), &address) != 1) return std::nullopt;
  char buffer[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_V4MAPPED(&address)) return ::inet_ntop(AF_INET, &address.s6_addr[12], buffer, sizeof buffer);
  return ::inet_ntop(AF_INET6, &address, buffer, sizeof buffer);
}

std::optional<std::uint32_t> parse_number(std::string_view digits, std::uint32_t limit) {
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  std::uint32_t number = 0;
  const char* last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, number);
  if (error != std::errc() || end != last || number > limit) return std::nullopt;
  return number;
}

}  // namespace microagent::workspace

#include "policy/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace microagent::policy {
namespace {

constexpr std::string_view kForms =
    "write ADDRESS, ADDRESS:PORT, [IPV6]:PORT, CIDR or CIDR:PORT, such as 10.1.2.3:5432 or 10.0.0.0/8";

tl::unexpected<Error> bad_rule(std::string_view text, std::string_view why) {
  return fail(ErrorKind::usage, fmt::format("egress rule \"{}\": {}", text, why), std::string(kForms));
}

// An entry cut at its port, if it has one.
struct Halves {
  std::string_view destination;
  std::optional<std::string_view> port;
};

Halves cut(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find("]:");
    if (close == std::string_view::npos) return {text, std::nullopt};
    return {text.substr(1, close - 1), text.substr(close + 2)};
  }
  // Behind a prefix length a colon can only start a port; before one, two colons are an IPv6 address.
  const std::size_t slash = text.find('/');
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {text, std::nullopt};
  const bool after_length = slash != std::string_view::npos && colon > slash;
  const bool only_colon = slash == std::string_view::npos && text.find(':') == colon;
  if (after_length || only_colon) return {text.substr(0, colon), text.substr(colon + 1)};
  return {text, std::nullopt};
}

std::optional<std::uint16_t> parse_port(std::string_view digits) {
  std::uint16_t port = 0;
  const char* last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, port);
  if (digits.empty() || digits[0] == '0' || error != std::errc() || end != last) return std::nullopt;
  return port;
}

}  // namespace

bool Rule::matches(const Address& address, std::optional<std::uint16_t> destination_port) const {
  return destination.contains(address) && (!port || port == destination_port);
}

Result<Rule> parse_rule(std::string_view text) {
  if (text.empty()) return bad_rule(text, "is empty");
  const Halves halves = cut(text);
  Rule rule;
  rule.text = std::string(text);
  if (halves.port) {
    rule.port = parse_port(*halves.port);
    if (!rule.port) return bad_rule(text, "the port is not a number from 1 to 65535");
  }
  if (halves.destination.find('/') != std::string_view::npos) {
    const auto cidr = parse_cidr(halves.destination);
    if (!cidr) return bad_rule(text, "the prefix is not an IP address with a length that fits it");
    rule.destination = *cidr;
    return rule;
  }
  const auto address = parse_address(halves.destination);
  if (!address) return bad_rule(text, "is not an IP address or prefix");
  rule.destination = host_cidr(unmapped(*address));
  return rule;
}

}  // namespace microagent::policy

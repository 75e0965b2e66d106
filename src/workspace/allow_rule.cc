#include "workspace/allow_rule.h"

#include <string>

#include "workspace/ip.h"

namespace microagent::workspace {
namespace {

constexpr const char* kForm =
    "write ADDRESS, ADDRESS:PORT, [IPV6]:PORT, CIDR or CIDR:PORT, such as 10.1.2.3:5432 or 10.0.0.0/8";

tl::unexpected<Error> bad_rule(const char* why) { return fail(ErrorKind::usage, why, kForm); }

bool is_destination(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  if (!canonical_ip(address)) return false;
  const bool ipv6 = address.find(':') != std::string_view::npos;
  return slash == std::string_view::npos || parse_number(text.substr(slash + 1), ipv6 ? 128 : 32);
}

// Where the destination ends and ":PORT" begins; the whole length when there is no port. Behind a prefix length a colon
// can only start a port; without one, two colons are an IPv6 address.
std::size_t end_of_destination(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::size_t slash = text.find('/');
  if (colon == std::string_view::npos) return text.size();
  if (slash != std::string_view::npos) return colon > slash ? colon : text.size();
  return text.find(':') == colon ? colon : text.size();
}

}  // namespace

Status check_allow_rule(std::string_view text) {
  if (text.empty()) return bad_rule("the rule is empty");
  std::string_view destination = text, port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find("]:");
    if (close == std::string_view::npos) return bad_rule("brackets need an IPv6 address in them and :PORT behind them");
    destination = text.substr(1, close - 1);
    port = text.substr(close + 1);
  } else {
    const std::size_t end = end_of_destination(text);
    destination = text.substr(0, end);
    port = text.substr(end);
  }
  if (!is_destination(destination)) return bad_rule("the destination is not an IP address or prefix");
  if (!port.empty() && parse_number(port.substr(1), 65535).value_or(0) == 0) {
    return bad_rule("the port is not a number from 1 to 65535");
  }
  return {};
}

}  // namespace microagent::workspace

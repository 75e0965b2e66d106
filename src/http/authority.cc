#include "http/authority.h"

#include <charconv>

#include "http/grammar.h"
#include "wire/client_hello.h"

namespace microagent::http {
namespace {

constexpr std::size_t kMaxPortDigits = 5;

// What stands behind the host: nothing, ":" or ":PORT".
bool parse_port(std::string_view text, std::optional<std::uint16_t>& port) {
  if (text.empty() || text == ":") return true;
  if (!text.starts_with(':') || text.size() > 1 + kMaxPortDigits) return false;
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number == 0) return false;
  port = number;
  return true;
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || !parse_port(text.substr(end + 1), authority.port)) return std::nullopt;
    authority.address = policy::parse_address(text.substr(1, end - 1));
    if (!authority.address || authority.address->family != policy::Address::Family::ipv6) return std::nullopt;
    return authority;
  }
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view host = text.substr(0, colon);
  if (!parse_port(text.substr(colon), authority.port)) return std::nullopt;
  if (wire::is_host_name(host)) {
    authority.host = host;
    return authority;
  }
  authority.address = policy::parse_address(host);
  if (!authority.address) return std::nullopt;
  return authority;
}

bool same_host(const Authority& a, const Authority& b, std::uint16_t default_port) {
  return same_word(a.host, b.host) && a.address == b.address &&
         a.port.value_or(default_port) == b.port.value_or(default_port);
}

}  // namespace microagent::http

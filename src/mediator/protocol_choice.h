#pragma once

// How the versions of HTTP that a guest's client offers (ALPN) and that its upstream speaks come together: they are the
// same where that is possible, and are translated where it is not.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace microagent::mediator {

inline constexpr std::string_view kAlpnHttp1 = "http/1.1", kAlpnHttp10 = "http/1.0", kAlpnHttp2 = "h2";

bool is_http1(std::string_view alpn);
bool is_http2(std::string_view alpn);
bool offers(const std::vector<std::string>& offered, std::string_view protocol);

// The version that a client does not offer, for an upstream that refused what it does; empty where it offers both, or
// no HTTP.
std::vector<std::string> other_version(const std::vector<std::string>& offered);

enum class Translation : std::uint8_t {
  none,
  to_http1,  // the guest speaks HTTP/2, and the upstream HTTP/1.1
  to_http2,
};

struct ProtocolChoice {
  std::string shown;  // to the guest
  Translation translation = Translation::none;
};
// `chosen` by the upstream; empty: nothing was.
ProtocolChoice choose_protocol(const std::vector<std::string>& offered, std::string_view chosen);

}  // namespace microagent::mediator

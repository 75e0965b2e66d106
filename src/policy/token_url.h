#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/host.h"

namespace microagent::policy {

// Where a token, or a secret of a vault, is asked for.
struct TokenUrl {
  bool tls = true;
  std::string name;  // a canonical name, or an address
  std::uint16_t port = 443;
  std::string authority;  // as `Host` carries it
  std::string target;     // path and query
};

// https://HOST[:PORT]/PATH; plain http: only to the loopback. No user and no fragment. Kind usage.
Result<TokenUrl> parse_token_url(std::string_view url);

}  // namespace microagent::policy

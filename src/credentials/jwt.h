#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "policy/swap.h"

namespace microagent::credentials {

inline constexpr std::chrono::seconds kClockSkew{60};

struct Assertion {
  policy::Swap::Algorithm algorithm = policy::Swap::Algorithm::rs256;
  std::string key_id;
  std::map<std::string, std::string> claims;
  std::chrono::system_clock::time_point now;
  std::chrono::seconds lifetime{600};
};

// A signed JSON Web Token (RFC 7515, 7519) that was issued a minute ago, since clocks differ. `key` is a PEM text of an
// RSA key of 2048 bits or more (RS256), or of one on P-256 (ES256). Errors hold nothing of the key.
Result<Secret> sign_jwt(const Assertion& assertion, const Secret& key);

}  // namespace microagent::credentials

#pragma once

// What servers gave us to resume with.

#include <ctime>
#include <string>
#include <vector>

#include "tls/openssl.h"
#include "tls/recently_used.h"

namespace microagent::tls {

class Sessions {
 public:
  explicit Sessions(std::size_t limit) : by_key_(limit) {}

  void keep(const std::string& key, SessionPtr session);
  // One of TLS 1.3 is given away once only: two connections with the same ticket could be told to be one client's
  // (RFC 8446, C.4). Null where there is none that still holds.
  SessionPtr take(const std::string& key, std::time_t now);

 private:
  RecentlyUsed<std::vector<SessionPtr>> by_key_;
};

}  // namespace microagent::tls

#pragma once

// The side that the guest sees: a server of TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only.

#include <memory>
#include <string>

#include "base/result.h"
#include "tls/authority.h"
#include "tls/connection.h"

namespace microagent::tls {

class ServerContext {
 public:
  struct State;  // OpenSSL's, and known to this folder only

  explicit ServerContext(std::unique_ptr<State> state);
  static Result<ServerContext> make();

  ServerContext(ServerContext&&) noexcept;
  ServerContext& operator=(ServerContext&&) noexcept;
  ~ServerContext();

  // `fd` is borrowed. `alpn` is the one protocol to choose, empty for none; a client that offers protocols but not this
  // one is refused. A session is resumed under the same name and protocol only.
  Result<Connection> accept(int fd, const Leaf& leaf, const std::string& alpn);

 private:
  std::unique_ptr<State> state_;
};

}  // namespace microagent::tls

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "tls/connection.h"
#include "tls/openssl.h"
#include "tls/sessions.h"
#include "tls/socket_bio.h"

namespace microagent::tls {

struct Connection::State {
  Socket socket;
  SslPtr ssl;                        // before what its BIO uses is gone
  std::optional<Trouble> end;        // after which OpenSSL must not be asked again
  std::optional<Trouble> write_end;  // the peer takes no more, but what it said before can be read
  bool socket_failed = false;        // which is not TLS's fault

  std::string alpn;  // of a server: the one protocol to choose

  std::optional<Unverified> unverified;
  bool asked_for_certificate = false;
  std::shared_ptr<Sessions> sessions;  // of a client
  std::string session_key;
};

// The connection that OpenSSL calls back about.
Connection::State& state_of(const SSL* ssl);

// A connection of the context over `fd`, before its first message.
Result<std::unique_ptr<Connection::State>> open(SSL_CTX* context, int fd);

// What a server's and a client's context have in common.
Result<SslContextPtr> make_context(const SSL_METHOD* method);

}  // namespace microagent::tls

#pragma once

// Both ends of a connection in one thread, and servers that do what ours never does.

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "base/fd.h"
#include "tls/connection.h"
#include "tls/openssl.h"
#include "tls/testing/certificates.h"

namespace microagent::tls::testing {

// Two connected nonblocking sockets.
struct Pair {
  Pair() {
    int fds[2];
    MICROAGENT_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    near.reset(fds[0]);
    far.reset(fds[1]);
  }
  Fd near, far;
};

struct Manners {
  int least = TLS1_2_VERSION, most = TLS1_3_VERSION;
  std::vector<const Identity*> chain;  // sent behind the certificate
  std::vector<unsigned char> staple;
  bool wants_certificate = false, insists = false;  // and goes without one only where it does not insist
  bool chooses_protocol = true;                     // the first that the client offers
};

// A server as OpenSSL makes it. The context can be used for many connections.
SslContextPtr make_server(const Identity& identity, const Manners& manners = {});
// The same for a client that verifies nothing.
SslContextPtr make_client(int least = TLS1_2_VERSION, int most = TLS1_3_VERSION);
Connection serve(SSL_CTX* context, int fd);
Connection call(SSL_CTX* context, int fd, const std::string& name, const std::vector<std::string>& alpn = {});

// How the handshake went for each.
struct Handshakes {
  Outcome<void> client, server;

  bool done() const { return client.has_value() && server.has_value(); }
};

// Until both have succeeded, or nothing moves any more.
Handshakes shake_hands(Connection& client, Connection& server);

// Carries a text from one to the other; what came, and how its reading ended where it did before all was there.
struct Carried {
  std::string text;
  Trouble trouble;
};
Carried carry(Connection& from, Connection& to, std::string_view text);

// Reads once where that is possible without waiting, so that what comes behind a handshake is taken in.
Outcome<std::size_t> poke(Connection& connection);

}  // namespace microagent::tls::testing

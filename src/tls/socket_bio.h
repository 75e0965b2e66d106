#pragma once

// The bytes of a connection go over a socket of ours and not by OpenSSL's own means: those raise SIGPIPE when the peer
// has gone.

#include "tls/openssl.h"

namespace microagent::tls {

// What a BIO is about. It outlives the BIO.
struct Socket {
  int fd = -1;
  bool at_end = false;
  bool drained = false;  // the last read left nothing there: the next one is answered without asking
};

BioPtr over(Socket& socket);

}  // namespace microagent::tls

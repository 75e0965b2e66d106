#pragma once

// How a server's certificate is verified, and why it is not believed in words.

#include <string>

#include "tls/openssl.h"

namespace microagent::tls {

// Has every client connection of the context say in its state why its server is not believed.
void watch_verification(SSL_CTX* context);

// What the certificate must be for. False when OpenSSL cannot.
bool expect_name(SSL* ssl, const std::string& name);

// Asks servers for a signed answer on revocation (RFC 6066, 8) and refuses those that bring one that says so. Most
// bring none, which says nothing.
void watch_revocation(SSL_CTX* context);

}  // namespace microagent::tls

#pragma once

// What this folder shares of OpenSSL: owners, and the one way from its errors to ours. No header of the folder's
// users includes this one.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::tls {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};

using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Freed<SSL_SESSION_free>>;

// An owner more of the same object.
CertificatePtr share(X509* certificate);
SessionPtr share(SSL_SESSION* session);

// Takes the error that OpenSSL met first, in its words, and forgets the others. It keeps errors until somebody asks:
// whatever calls OpenSSL and asks afterwards starts with an empty queue (ERR_clear_error).
std::string take_openssl_error();
// The same as an Error: "what: reason".
tl::unexpected<Error> fail_openssl(std::string_view what);

// Reads a text in place.
BioPtr reading(std::string_view text);
// What was written to a memory BIO.
std::string written(BIO* bio);

std::string pem_of(X509* certificate);
// SHA-256 of the whole certificate in hex.
std::string fingerprint_of(const X509* certificate);

}  // namespace microagent::tls

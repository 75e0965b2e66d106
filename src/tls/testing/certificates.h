#pragma once

// Certificates as the world has them, good and bad, made for a test.

#include <ctime>
#include <string>
#include <vector>

#include "tls/openssl.h"

namespace microagent::tls::testing {

inline constexpr std::time_t kDay = 24 * 60 * 60;

// A certificate and its key.
struct Identity {
  CertificatePtr certificate;
  KeyPtr key;

  std::string pem() const { return pem_of(certificate.get()); }
};

struct Wish {
  std::string common_name = "test";
  std::string names = "DNS:a.example";  // in OpenSSL's notation; empty: none
  bool authority = false;
  std::time_t begin = -kDay, end = 30 * kDay;  // from now
  const EVP_MD* digest = EVP_sha256();
  std::string purposes = {};  // extended key usages, in OpenSSL's notation
};

// Signed by `issuer`, or by itself.
Identity make(const Wish& wish, const Identity* issuer = nullptr);
Identity make_root(const std::string& common_name = "root");
Identity make_intermediate(const Identity& root);

// An OCSP answer about a certificate of `issuer`, signed by `signer`.
std::vector<unsigned char> make_staple(const Identity& about, const Identity& issuer, const Identity& signer,
                                       bool revoked);

}  // namespace microagent::tls::testing

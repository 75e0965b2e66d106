#pragma once

// Certificates made and read.

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tls/openssl.h"

namespace microagent::tls {

Result<KeyPtr> make_key();  // P-256

enum class Role : std::uint8_t { authority, server };

struct Draft {
  Role role = Role::server;
  std::string common_name;
  std::string name;  // of a server: DNS name or IP address
  std::time_t not_before = 0, not_after = 0;
};

struct Signer {
  X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;
};

// Without a signer it signs itself.
Result<CertificatePtr> make_certificate(const Draft& draft, EVP_PKEY* key, std::optional<Signer> signer);

// Nothing where the time cannot be said.
std::optional<std::time_t> time_of(const ASN1_TIME* time);

// The bytes of an IP address in text; empty where it is none.
std::string address_bytes(std::string_view text);

// Every certificate of a PEM text, which may hold comments around them but no other block. Errors name the line.
Result<std::vector<CertificatePtr>> read_certificates(std::string_view pem);

// The certificates of a PEM text as they stand there, without what stands between them.
std::string certificate_blocks(std::string_view pem);

}  // namespace microagent::tls

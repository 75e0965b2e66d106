#include "tls/openssl.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>

namespace microagent::tls {

CertificatePtr share(X509* certificate) {
  if (certificate) X509_up_ref(certificate);
  return CertificatePtr(certificate);
}

SessionPtr share(SSL_SESSION* session) {
  if (session) SSL_SESSION_up_ref(session);
  return SessionPtr(session);
}

std::string take_openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown";
  if (const char* reason = ERR_reason_error_string(code)) return reason;
  return fmt::format("OpenSSL error {:#x}", code);
}

tl::unexpected<Error> fail_openssl(std::string_view what) {
  return fail(ErrorKind::permanent, fmt::format("{}: {}", what, take_openssl_error()));
}

BioPtr reading(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string pem_of(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) return {};
  return written(bio.get());
}

std::string fingerprint_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) return {};
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace microagent::tls

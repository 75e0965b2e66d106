#include "tls/system_roots.h"

#include <openssl/x509.h>

#include <fstream>
#include <sstream>

#include "tls/certificates.h"

namespace microagent::tls {
namespace {

// Where distributions keep what they trust.
constexpr const char* kSystemFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",              // openSUSE
    "/etc/ssl/cert.pem",
};

}  // namespace

std::filesystem::path system_file() {
  for (const char* path : kSystemFiles) {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return path;
  }
  return X509_get_default_cert_file();
}

std::string system_roots(std::size_t limit, const std::filesystem::path& file) {
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  std::string roots = certificate_blocks(text.view());
  return roots.size() <= limit ? roots : std::string();
}

}  // namespace microagent::tls

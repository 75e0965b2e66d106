#include "audit/chain.h"

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "base/check.h"

namespace microagent::audit {
namespace {

struct FreeHash {
  void operator()(EVP_MD_CTX* hash) const { EVP_MD_CTX_free(hash); }
};
using HashPtr = std::unique_ptr<EVP_MD_CTX, FreeHash>;

// Found once: to look for an algorithm takes OpenSSL longer than to hash a record.
EVP_MD* sha256() {
  static EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  MICROAGENT_CHECK(found != nullptr);
  return found;
}

}  // namespace

std::string line_hash(std::string_view line) {
  static thread_local const HashPtr hash(EVP_MD_CTX_new());
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  MICROAGENT_CHECK(EVP_DigestInit_ex2(hash.get(), sha256(), nullptr) == 1);
  MICROAGENT_CHECK(EVP_DigestUpdate(hash.get(), line.data(), line.size()) == 1);
  MICROAGENT_CHECK(EVP_DigestFinal_ex(hash.get(), digest.data(), &size) == 1);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (unsigned int i = 0; i < size; ++i) {
    text.push_back(kDigits[digest[i] >> 4]);
    text.push_back(kDigits[digest[i] & 15]);
  }
  return text;
}

}  // namespace microagent::audit

#include "credentials/jwt.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/base64.h"
#include "tls/openssl.h"

namespace microagent::credentials {
namespace {

using Algorithm = policy::Swap::Algorithm;

using tls::BioPtr, tls::Freed, tls::KeyPtr;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;

constexpr int kMinRsaBits = 2048;
constexpr int kP256Bytes = 32;

// OpenSSL would ask at the terminal.
int no_password(char*, int, int, void*) { return 0; }

Result<KeyPtr> read_key(const Secret& pem, Algorithm algorithm) {
  const BioPtr bio = tls::reading(pem.view());
  KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr) : nullptr);
  ERR_clear_error();
  if (!key) return fail(ErrorKind::permanent, "the signing key is no private key in PEM format without a password");
  if (algorithm == Algorithm::rs256) {
    if (EVP_PKEY_is_a(key.get(), "RSA") == 1 && EVP_PKEY_get_bits(key.get()) >= kMinRsaBits) return key;
    return fail(ErrorKind::permanent, "RS256 needs an RSA key of 2048 bits or more");
  }
  std::array<char, 32> group{};
  std::size_t length = 0;
  const bool named = EVP_PKEY_is_a(key.get(), "EC") == 1 &&
                     EVP_PKEY_get_group_name(key.get(), group.data(), group.size(), &length) == 1;
  if (named && std::string_view(group.data(), length) == "prime256v1") return key;
  return fail(ErrorKind::permanent, "ES256 needs a key on the curve P-256");
}

// OpenSSL's form of an ECDSA signature as RFC 7518, 3.4 wants it.
std::optional<std::string> join_r_and_s(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const SignaturePtr signature(d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(der.size())));
  if (!signature) return std::nullopt;
  std::array<unsigned char, 2 * kP256Bytes> joined{};
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), joined.data(), kP256Bytes) != kP256Bytes) return std::nullopt;
  if (BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), joined.data() + kP256Bytes, kP256Bytes) != kP256Bytes) {
    return std::nullopt;
  }
  return std::string(reinterpret_cast<const char*>(joined.data()), joined.size());
}

std::optional<std::string> sign(EVP_PKEY* key, Algorithm algorithm, std::string_view text) {
  const DigestPtr digest(EVP_MD_CTX_new());
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t size = 0;
  if (!digest || EVP_DigestSignInit(digest.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(digest.get(), nullptr, &size, bytes, text.size()) != 1) {
    return std::nullopt;
  }
  std::string signature(size, '\0');
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  if (EVP_DigestSign(digest.get(), out, &size, bytes, text.size()) != 1) return std::nullopt;
  signature.resize(size);
  return algorithm == Algorithm::rs256 ? signature : join_r_and_s(signature);
}

// Times are numbers (RFC 7519, 2), whatever else is a text.
nlohmann::json claim_value(const std::string& claim, const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  if ((claim == "iat" || claim == "nbf") && is_number) return number;
  return text;
}

std::string payload_of(const Assertion& assertion) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(assertion.now.time_since_epoch());
  nlohmann::json claims = {{"iat", (now - kClockSkew).count()}};
  for (const auto& [claim, text] : assertion.claims) claims[claim] = claim_value(claim, text);
  claims["exp"] = (now + assertion.lifetime).count();
  return claims.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<Secret> sign_jwt(const Assertion& assertion, const Secret& key) {
  const auto read = read_key(key, assertion.algorithm);
  if (!read) return fail(read.error());
  nlohmann::json head = {{"alg", assertion.algorithm == Algorithm::rs256 ? "RS256" : "ES256"}, {"typ", "JWT"}};
  if (!assertion.key_id.empty()) head["kid"] = assertion.key_id;
  std::string token = base64url(head.dump()) + "." + base64url(payload_of(assertion));
  const Wiped wiped(token);
  const auto signature = sign(read->get(), assertion.algorithm, token);
  ERR_clear_error();
  if (!signature) return fail(ErrorKind::permanent, "the signing key does not sign");
  token += "." + base64url(*signature);
  return Secret::of(token);
}

}  // namespace microagent::credentials

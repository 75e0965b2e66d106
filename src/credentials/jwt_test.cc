#include "credentials/jwt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <nlohmann/json.hpp>

namespace microagent::credentials {
namespace {

using Algorithm = policy::Swap::Algorithm;
using Json = nlohmann::json;
using testing::HasSubstr;

std::string pem_of(EVP_PKEY* key) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(bio);
  return pem;
}

struct Key {
  EVP_PKEY* key;
  explicit Key(EVP_PKEY* made) : key(made) {}
  ~Key() { EVP_PKEY_free(key); }
  Secret pem() const { return Secret::of(pem_of(key)); }
};

std::string decode(std::string text) {
  for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
  const std::size_t padding = (4 - text.size() % 4) % 4;
  text.append(padding, '=');
  std::string bytes(text.size() / 4 * 3, '\0');
  EXPECT_GE(EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                            reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size())),
            0);
  bytes.resize(bytes.size() - padding);
  return bytes;
}

struct Parts {
  Json head, claims;
  std::string signed_text, signature;
};

Parts parts_of(const Secret& token) {
  const std::string text(token.view());
  const std::size_t first = text.find('.'), second = text.find('.', first + 1);
  return {Json::parse(decode(text.substr(0, first))), Json::parse(decode(text.substr(first + 1, second - first - 1))),
          text.substr(0, second), decode(text.substr(second + 1))};
}

bool verifies(EVP_PKEY* key, const Parts& parts, std::string signature) {
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    const auto* raw = reinterpret_cast<const unsigned char*>(signature.data());
    ECDSA_SIG* pair = ECDSA_SIG_new();
    ECDSA_SIG_set0(pair, BN_bin2bn(raw, 32, nullptr), BN_bin2bn(raw + 32, 32, nullptr));
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(pair, &der);
    signature.assign(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
  }
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  EVP_DigestVerifyInit(digest, nullptr, EVP_sha256(), nullptr, key);
  const int right =
      EVP_DigestVerify(digest, reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                       reinterpret_cast<const unsigned char*>(parts.signed_text.data()), parts.signed_text.size());
  EVP_MD_CTX_free(digest);
  return right == 1;
}

Assertion some(Algorithm algorithm) {
  return {algorithm,
          "k1",
          {{"iss", "me"}, {"aud", "you"}},
          std::chrono::system_clock::from_time_t(1'000'000),
          std::chrono::seconds(300)};
}

TEST(Jwt, IsSignedWithRsa) {
  const Key key(EVP_RSA_gen(2048));
  const auto token = sign_jwt(some(Algorithm::rs256), key.pem());
  ASSERT_TRUE(token) << token.error().message;
  const Parts parts = parts_of(*token);
  EXPECT_EQ(parts.head, (Json{{"alg", "RS256"}, {"typ", "JWT"}, {"kid", "k1"}}));
  EXPECT_EQ(parts.claims, (Json{{"iss", "me"}, {"aud", "you"}, {"iat", 999'940}, {"exp", 1'000'300}}));
  EXPECT_TRUE(verifies(key.key, parts, parts.signature));
}

TEST(Jwt, IsSignedWithP256AsTheRfcWantsIt) {
  const Key key(EVP_EC_gen("P-256"));
  for (int i = 0; i < 16; ++i) {  // r and s are of different lengths
    const Parts parts = parts_of(sign_jwt(some(Algorithm::es256), key.pem()).value());
    EXPECT_EQ(parts.head["alg"], "ES256");
    ASSERT_EQ(parts.signature.size(), 64U);
    EXPECT_TRUE(verifies(key.key, parts, parts.signature));
  }
}

TEST(Jwt, LetsTheClaimsSayWhenItWasIssued) {
  const Key key(EVP_EC_gen("P-256"));
  Assertion assertion = some(Algorithm::es256);
  assertion.claims = {{"iat", "77"}, {"n", "5"}};
  const Json claims = parts_of(sign_jwt(assertion, key.pem()).value()).claims;
  EXPECT_EQ(claims["iat"], 77);
  EXPECT_EQ(claims["n"], "5");
}

TEST(Jwt, WantsTheRightKey) {
  const Key rsa(EVP_RSA_gen(2048)), small(EVP_RSA_gen(1024)), p384(EVP_EC_gen("P-384")), p256(EVP_EC_gen("P-256"));
  const auto refusal = [](Algorithm algorithm, const Secret& key) {
    const auto token = sign_jwt(some(algorithm), key);
    return token ? "accepted" : token.error().message;
  };
  EXPECT_THAT(refusal(Algorithm::rs256, p256.pem()), HasSubstr("RS256 needs"));
  EXPECT_THAT(refusal(Algorithm::rs256, small.pem()), HasSubstr("2048"));
  EXPECT_THAT(refusal(Algorithm::es256, rsa.pem()), HasSubstr("ES256 needs"));
  EXPECT_THAT(refusal(Algorithm::es256, p384.pem()), HasSubstr("P-256"));
  EXPECT_THAT(refusal(Algorithm::es256, Secret::of("s3cret")),
              testing::AllOf(HasSubstr("no private key"), testing::Not(HasSubstr("s3cret"))));
}

}  // namespace
}  // namespace microagent::credentials

#include "init/keystore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha1.h"

namespace microagent::init {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string hex(const auto& bytes) {
  std::string text;
  for (const auto byte : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[static_cast<std::uint8_t>(byte) >> 4];
    text += kDigits[static_cast<std::uint8_t>(byte) & 15];
  }
  return text;
}

std::string sha1(const std::string& text) {
  Sha1 digest;
  digest.feed(text);
  return hex(digest.finish());
}

std::string pem(const std::string& base64) {
  return "-----BEGIN CERTIFICATE-----\n" + base64 + "\n-----END CERTIFICATE-----\n";
}

TEST(Certificates, AreTakenOutOfAList) {
  EXPECT_THAT(certificates_of("# one\n" + pem("Zm9v\r\nYg==") + "between\n" + pem("YmFy")), ElementsAre("foob", "bar"));
  EXPECT_THAT(certificates_of(pem("Zm8=")), ElementsAre("fo"));
  EXPECT_THAT(certificates_of(pem("+/+/")), ElementsAre("\xfb\xff\xbf"));
}

TEST(Certificates, ThatAreNoneArePassedOver) {
  EXPECT_THAT(certificates_of(pem("Zm9v*") + pem("YmFy") + pem("") + pem("Zg==Zg==")), ElementsAre("bar"));
  const std::string one = pem("YmFy");
  EXPECT_THAT(certificates_of(one.substr(0, one.size() - 3)), IsEmpty());
  EXPECT_THAT(certificates_of(""), IsEmpty());
}

// As `keytool -list` of OpenJDK reads it (tests/test_trust.py), byte by byte.
TEST(Keystore, LiesAsJavaWantsIt) {
  const std::string store = encode_keystore({"foo"});
  EXPECT_EQ(hex(store.substr(0, store.size() - 20)),
            "feedfeed0000000200000001"
            "00000002000c6d6963726f6167656e742d30"
            "00000000000000000005582e353039"
            "00000003666f6f");
  std::string covered("\0c\0h\0a\0n\0g\0e\0i\0t", 16);
  covered += "Mighty Aphrodite" + store.substr(0, store.size() - 20);
  EXPECT_EQ(hex(store.substr(store.size() - 20)), sha1(covered));
}

}  // namespace
}  // namespace microagent::init

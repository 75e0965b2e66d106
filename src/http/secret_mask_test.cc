#include "http/secret_mask.h"

#include <gtest/gtest.h>

#include <random>

#include "base/base64.h"
#include "http/test_text.h"

namespace microagent::http {
namespace {

std::shared_ptr<const SecretForms> forms_of(std::vector<std::string> secrets) {
  return std::make_shared<const SecretForms>(secrets);
}

std::string stars(std::size_t count) { return std::string(count, kMaskCharacter); }

std::string masked(const std::shared_ptr<const SecretForms>& forms, std::string_view text, std::size_t piece) {
  SecretMask mask(forms);
  std::vector<std::uint8_t> out;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    mask.feed(bytes_of_text(text.substr(at, piece)), out);
    EXPECT_LT(mask.held_back(), forms->longest() + 1);
    EXPECT_EQ(out.size() + mask.held_back(), std::min(at + piece, text.size()));
  }
  mask.finish(out);
  return {out.begin(), out.end()};
}

TEST(SecretMask, CoversASecretInAnyPieces) {
  const auto forms = forms_of({"sk-12345678"});
  const std::string text = "a sk-1 sk-sk-12345678 sk-1234567";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    EXPECT_EQ(masked(forms, text, piece), "a sk-1 sk-" + stars(11) + " sk-1234567") << piece;
  }
}

TEST(SecretMask, LetsAllElseThroughAtOnce) {
  SecretMask mask(forms_of({"sk-12345678"}));
  std::vector<std::uint8_t> out;
  mask.feed(bytes_of_text("data: hello\n\n"), out);
  EXPECT_EQ(out.size(), 13u);  // a stream of events goes on streaming
  EXPECT_EQ(mask.held_back(), 0u);
  EXPECT_EQ(mask.masked(), 0u);
}

TEST(SecretMask, SeesSecretsThatOverlap) {
  EXPECT_EQ(mask_secrets(forms_of({"abcabcabc"}), "abcabcabcabcX"), stars(12) + "X");
  EXPECT_EQ(mask_secrets(forms_of({"12345678", "0123456789abc"}), "0123456789abX"), "0" + stars(8) + "9abX");
  EXPECT_EQ(mask_secrets(forms_of({"12345678", "0123456789abc"}), "0123456789abc"), stars(13));
}

TEST(SecretMask, SeesBase64AtEveryPlace) {
  const std::string secret =
      "sk-\xfb\xff\xbf"
      "Zz09~?>secret";
  const auto forms = forms_of({secret});
  for (const std::string before : {"", "u", "us", "user:", "\"key\":"}) {
    for (const std::string after : {"", "a", "ab", "abc"}) {
      const std::string plain = base64(before + secret + after);
      const std::string out = mask_secrets(forms, plain);
      // All but the characters at the ends that hold bits of the neighbours.
      EXPECT_GE(static_cast<std::size_t>(std::ranges::count(out, '*')), secret.size() * 8 / 6 - 2)
          << plain << " " << out;
      std::string url = plain;
      std::ranges::replace(url, '+', '-');
      std::ranges::replace(url, '/', '_');
      EXPECT_EQ(std::ranges::count(mask_secrets(forms, url), '*'), std::ranges::count(out, '*')) << url;
    }
  }
}

TEST(SecretMask, SeesOtherWaysToWriteIt) {
  const auto forms = forms_of({"a/b+c=d&e\"f g"});
  for (const std::string text :
       {"a%2Fb%2Bc%3Dd%26e%22f%20g", "a%2fb%2bc%3dd%26e%22f%20g", "a%2Fb%2Bc%3Dd%26e%22f+g", "a\\/b+c=d&e\\\"f g",
        "a/b+c=d&e\\\"f g", "a/b\\u002bc\\u003dd\\u0026e\\\"f g", "a/b+c=d&e%22f%20g"}) {
    EXPECT_EQ(mask_secrets(forms, "<" + text + ">"), "<" + stars(text.size()) + ">") << text;
  }
}

TEST(SecretMask, SeesLongSecretsAtEveryPlace) {
  for (const std::size_t size : {255, 256, 257, 300}) {
    std::string secret(size, 'a');
    for (std::size_t i = 0; i < size; ++i) secret[i] = static_cast<char>('a' + i * i % 7);
    const auto forms = forms_of({secret, "sk-12345678"});
    const auto long_forms = forms_of({secret});
    for (std::size_t before = 0; before < 600; before += 7) {
      const std::string around(before, 'a');
      const std::string expected = around + stars(size) + around;
      ASSERT_EQ(masked(forms, around + secret + around, 1000), expected) << size << " behind " << before;
      ASSERT_EQ(masked(long_forms, around + secret + around, 1000), expected) << size << " behind " << before;
      ASSERT_EQ(masked(long_forms, around + secret + around, 64), expected) << size << " behind " << before;
    }
  }
}

TEST(SecretMask, ShortSecretsAreLeftAlone) {
  EXPECT_TRUE(forms_of({"1234567", ""})->empty());
  EXPECT_EQ(mask_secrets(forms_of({"1234567"}), "1234567"), "1234567");
  EXPECT_TRUE(forms_of({std::string(kMaxMaskedSecret + 1, 'x')})->empty());
}

// Against the plain way to do it.
TEST(SecretMask, AgreesWithASearch) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> secrets;
    for (int i = 0; i < 2; ++i) {
      std::string secret(8 + random() % 4, 'a');
      for (char& c : secret) c = static_cast<char>('a' + random() % 2);
      secrets.push_back(secret);
    }
    std::string text(400, 'a');
    for (char& c : text) c = static_cast<char>('a' + random() % 2);
    std::string expected = text;
    for (const std::string& secret : secrets) {
      for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; ++at) {
        expected.replace(at, secret.size(), stars(secret.size()));
      }
    }
    ASSERT_EQ(masked(forms_of(secrets), text, 1 + random() % 50), expected);
  }
}

}  // namespace
}  // namespace microagent::http

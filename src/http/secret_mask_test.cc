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

// How much of any form of any secret stands at the end of a text, cut off.
std::size_t begun_at_end(const std::vector<std::string>& secrets, std::string_view text) {
  std::size_t longest = 0;
  for (const std::string& secret : secrets) {
    for (const std::string& form : secret_forms(secret)) {
      for (std::size_t size = std::min(form.size() - 1, text.size()); size > longest; --size) {
        if (text.ends_with(std::string_view(form).substr(0, size))) longest = size;
      }
    }
  }
  return longest;
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
    EXPECT_EQ(masked(forms, text + " sk-1234", piece), "a sk-1 sk-" + stars(11) + " sk-1234567 sk-1234") << piece;
    EXPECT_EQ(masked(forms, text, piece), "a sk-1 sk-" + stars(11) + " " + stars(10)) << piece;  // cut off
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

// Of a secret with all that is special: what writers are known for.
TEST(SecretMask, KnowsWhoWritesIt) {
  const auto masks = [](const std::string& secret, const std::string& text) {
    return mask_secrets(forms_of({secret}), "<" + text + ">") == "<" + stars(text.size()) + ">";
  };
  EXPECT_TRUE(masks("ab/c+d=ef", "ab/c%2Bd%3Def"));                         // Python, quote()
  EXPECT_TRUE(masks("ab c~d(e)f", "ab+c%7Ed%28e%29f"));                     // PHP, urlencode()
  EXPECT_TRUE(masks("ab-c_d.e~f", "ab%2Dc%5Fd%2Ee%7Ef"));                   // Rust, NON_ALPHANUMERIC
  EXPECT_TRUE(masks("a&b+c<d>ef", "a\\u0026b+c\\u003cd\\u003eef"));         // Go
  EXPECT_TRUE(masks("a\"b+c'def", "a\\u0022b\\u002Bc\\u0027def"));          // .NET
  EXPECT_TRUE(masks("\xc3\xa9t\xc3\xa9-3456", "\\u00e9t\\u00e9-3456"));     // Python, json.dumps()
  EXPECT_TRUE(masks("\xf0\x9f\x94\x91-34567", "\\ud83d\\udd11-34567"));     // the same, beyond 16 bits
  EXPECT_TRUE(masks("a<b>&\"'c-345", "a&lt;b&gt;&amp;&quot;&#x27;c-345"));  // HTML
}

TEST(SecretMask, SeesBase64AsUrlsAndJsonWriteIt) {
  const std::string secret = "\xff\xfe?>~robot\xff\xff\xff";
  const std::string encoded = base64(secret);  // has both "+" and "/"
  std::string url, json;
  for (const char c : encoded) {
    url += c == '+' ? "%2B" : c == '/' ? "%2F" : std::string(1, c);
    json += c == '/' ? "\\/" : std::string(1, c);
  }
  ASSERT_NE(url, encoded);
  ASSERT_NE(json, encoded);
  for (const std::string& text : {url, json}) {
    EXPECT_GE(std::ranges::count(mask_secrets(forms_of({secret}), text), '*'), static_cast<int>(text.size()) - 4);
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
    const std::size_t cut = begun_at_end(secrets, text);
    if (cut >= kMinMaskedSecret) expected.replace(text.size() - cut, cut, stars(cut));
    ASSERT_EQ(masked(forms_of(secrets), text, 1 + random() % 50), expected);
  }
}

}  // namespace
}  // namespace microagent::http

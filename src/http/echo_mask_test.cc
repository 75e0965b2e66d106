#include "http/echo_mask.h"

#include <gtest/gtest.h>

#include "http/test_packed.h"
#include "http/test_text.h"

namespace microagent::http {
namespace {

constexpr std::string_view kSecret = "sk-0123456789abcdef";
const std::string kStars(kSecret.size(), kMaskCharacter);

SecretFormsPtr forms() { return std::make_shared<const SecretForms>(std::vector<std::string>{std::string(kSecret)}); }

std::string encoded(std::string_view coding, std::string_view text) {
  return packed(parse_content_coding(coding), text);
}

// What is left of a body that comes in pieces, as a relay passes it on.
struct Passed {
  std::string text;
  bool decoded = false;
  EchoMask::Fault fault{};
};
Passed pass(const HeaderList& head, std::string_view body, std::size_t piece) {
  EchoMask mask(forms(), head);
  std::vector<std::uint8_t> all;
  for (std::size_t at = 0; at < body.size(); at += piece) {
    ByteView in = bytes_of_text(body.substr(at, piece));
    for (;;) {
      const std::size_t before = all.size(), taken = mask.feed(in, all);
      in = in.subspan(taken);
      if (taken == 0 && all.size() == before) break;
      EXPECT_FALSE(mask.undecided() && all.size() > 0);
    }
  }
  mask.finish(all);
  return {{all.begin(), all.end()}, mask.decodes(), mask.fault()};
}

class EchoMaskOf : public testing::TestWithParam<const char*> {
 protected:
  HeaderList head_{{"Content-Encoding", GetParam()}};
};

TEST_P(EchoMaskOf, PassesWhatIsCleanByteForByte) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "line " + std::to_string(i * 7919) + " sk-0123\n";
  const std::string body = encoded(GetParam(), text);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, body.size()}) {
    const Passed passed = pass(head_, body, piece);
    EXPECT_EQ(passed.text, body) << piece;
    EXPECT_FALSE(passed.decoded);
    EXPECT_EQ(passed.fault, EchoMask::Fault::none);
  }
}

TEST_P(EchoMaskOf, DecodesWhatShowsTheSecretAtOnce) {
  const std::string text =
      "{\"echo\":\"" + std::string(kSecret) + "\"}" + std::string(200'000, 'a') + std::string(kSecret);
  const Passed passed = pass(head_, encoded(GetParam(), text), 1 << 20);
  EXPECT_TRUE(passed.decoded);
  EXPECT_EQ(passed.text, "{\"echo\":\"" + kStars + "\"}" + std::string(200'000, 'a') + kStars);
}

// No split of the body brings a secret to light.
TEST_P(EchoMaskOf, ShowsNoSecretWhateverThePieces) {
  const std::string text = "{\"headers\":{\"x-api-key\":\"" + std::string(kSecret) + "\"}}";
  const std::string body = encoded(GetParam(), text);
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    const Passed passed = pass(head_, body, piece);
    if (passed.decoded) {
      EXPECT_EQ(passed.text.find(kSecret), std::string::npos);
      continue;
    }
    EXPECT_EQ(passed.fault, EchoMask::Fault::late_echo) << piece;
    EXPECT_LT(passed.text.size(), body.size());
  }
}

TEST_P(EchoMaskOf, RefusesWhatIsNoneOfTheKind) {
  EXPECT_EQ(pass(head_, std::string(100, '\xff'), 100).fault, EchoMask::Fault::undecodable);
  const std::string body = encoded(GetParam(), "hello");
  EXPECT_EQ(pass(head_, body.substr(0, body.size() - 1), 100).fault, EchoMask::Fault::undecodable);
}

INSTANTIATE_TEST_SUITE_P(Codings, EchoMaskOf, testing::Values("gzip", "deflate", "br", "zstd"));

TEST(EchoMask, MasksPlainBodiesInPlace) {
  for (std::size_t piece = 5; piece < 30; ++piece) {
    const Passed passed = pass({}, "a" + std::string(kSecret) + "b", piece);
    EXPECT_EQ(passed.text, "a" + kStars + "b") << piece;
  }
}

// Three characters of it at most, where the upstream's pieces are that small.
TEST(EchoMask, LetsNoMoreThanABeginningThrough) {
  EXPECT_EQ(pass({}, kSecret, 1).text, "sk-" + std::string(kSecret.size() - 3, kMaskCharacter));
}

TEST(EchoMask, KeepsNobodyWaitingForAnEndThatLooksLikeABeginning) {
  EchoMask mask(forms(), {});
  std::vector<std::uint8_t> out;
  mask.feed(bytes_of_text("tasks"), out);
  EXPECT_EQ(out.size(), 5u);
}

TEST(EchoMask, LooksThroughWhatIsCalledACodingAndIsNone) {
  EXPECT_EQ(pass({{"content-encoding", "utf-8"}}, kSecret, 100).text, kStars);
}

TEST(EchoMask, LetsNothingThroughThatItCannotLookThrough) {
  for (const HeaderList& headers :
       {HeaderList{{"content-encoding", "gzip"}, {"content-encoding", "br"}},
        HeaderList{{"content-encoding", "gzip, br"}}, HeaderList{{"content-encoding", "Compress"}}}) {
    EchoMask mask(forms(), headers);
    EXPECT_TRUE(mask.undecided());
    std::vector<std::uint8_t> out;
    EXPECT_EQ(mask.feed(bytes_of_text("hello"), out), 0u);
    EXPECT_EQ(mask.fault(), EchoMask::Fault::undecodable);
    EXPECT_TRUE(out.empty());
  }
}

TEST(EchoMask, MasksHeaders) {
  HeaderList headers{{"a", "b"}, {"location", "/?key=" + std::string(kSecret)}};
  EXPECT_EQ(mask_headers(forms(), headers), 1u);
  EXPECT_EQ(headers[0].value, "b");
  EXPECT_EQ(headers[1].value, "/?key=" + kStars);
}

// Whoever cuts texts off would else show it but for its end.
TEST(EchoMask, MasksWhatAHeaderIsCutOffIn) {
  HeaderList headers{{"a", "key: sk-0123456789ab"}, {"b", "sk-0123"}, {"c", "sk-0123456789ab is no key"}};
  EXPECT_EQ(mask_headers(forms(), headers), 1u);
  EXPECT_EQ(headers[0].value, "key: " + std::string(15, kMaskCharacter));
  EXPECT_EQ(headers[1].value, "sk-0123");
  EXPECT_EQ(headers[2].value, "sk-0123456789ab is no key");
}

// HTTP/2 has names in lower case.
TEST(EchoMask, MasksNamesInAnyCase) {
  const auto mixed = std::make_shared<const SecretForms>(std::vector<std::string>{"Sk-AbCdEfGhIjKl"});
  HeaderList headers{{"x-sk-abcdefghijkl", "1"}, {"SK-ABCDEFGHIJKL-x", "2"}, {"x-sk-abcdefgh", "3"},
                     {"x-sk-abcdefgh-y", "4"},   {"x-sk-abc", "5"},          {"sk-abcdefg-sk-abcdefghijkl", "6"}};
  EXPECT_EQ(mask_headers(mixed, headers), 4u);
  EXPECT_EQ(headers[0].name, std::string(17, kMaskCharacter));
  EXPECT_EQ(headers[1].name, std::string(17, kMaskCharacter));
  EXPECT_EQ(headers[2].name, std::string(13, kMaskCharacter));
  EXPECT_EQ(headers[3].name, "x-sk-abcdefgh-y");
  EXPECT_EQ(headers[4].name, "x-sk-abc");
  EXPECT_EQ(headers[5].name, std::string(26, kMaskCharacter));
}

}  // namespace
}  // namespace microagent::http

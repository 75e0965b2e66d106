#include "base/sha1.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace microagent {
namespace {

std::string sha1(const std::string& text) {
  Sha1 digest;
  digest.feed(text);
  std::string hex;
  for (const std::uint8_t byte : digest.finish()) hex += fmt::format("{:02x}", byte);
  return hex;
}

TEST(Sha1, GivesTheAnswersOfTheStandard) {
  EXPECT_EQ(sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(sha1(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(sha1(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

}  // namespace
}  // namespace microagent

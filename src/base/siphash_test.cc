#include "base/siphash.h"

#include <gtest/gtest.h>

#include <vector>

namespace microagent {
namespace {

// The vectors of the reference implementation: key 00..0f, messages 00, 00 01, ...
TEST(SipHash, GivesTheVectorsOfItsAuthors) {
  std::array<std::uint8_t, 16> key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const std::array<std::uint64_t, 4> expected{0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
                                              0x85676696d7fb7e2d};
  std::vector<std::uint8_t> message;
  for (const std::uint64_t hash : expected) {
    EXPECT_EQ(siphash(key, message), hash) << message.size();
    message.push_back(static_cast<std::uint8_t>(message.size()));
  }
  while (message.size() < 15) message.push_back(static_cast<std::uint8_t>(message.size()));
  EXPECT_EQ(siphash(key, message), 0xa129ca6149be45e5);  // the example of the paper, appendix A
}

}  // namespace
}  // namespace microagent

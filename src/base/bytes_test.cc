#include "base/bytes.h"

#include <gtest/gtest.h>

namespace microagent {
namespace {

TEST(WireInt, KeepsItsByteOrder) {
  const be32 big = 0x01020304;
  const le32 little = 0x01020304;
  EXPECT_EQ(bytes_of(big)[0], 1);
  EXPECT_EQ(bytes_of(little)[0], 4);
  EXPECT_EQ(big, 0x01020304U);
  EXPECT_EQ(little, 0x01020304U);
  EXPECT_EQ(be64{0xfedcba9876543210ULL}, 0xfedcba9876543210ULL);
}

TEST(Reader, ConsumesNothingWhenTheBytesDoNotSuffice) {
  const std::array<std::uint8_t, 3> bytes{1, 2, 3};
  Reader reader(bytes);
  be32 word = 7;
  EXPECT_FALSE(reader.read(word));
  EXPECT_EQ(word, 7U);
  EXPECT_EQ(reader.left(), 3U);
  be16 half;
  EXPECT_TRUE(reader.read(half));
  EXPECT_EQ(half, 0x0102);
  EXPECT_FALSE(reader.skip(2));
  EXPECT_TRUE(reader.skip(1));
  EXPECT_EQ(reader.left(), 0U);
}

TEST(Writer, WritesNothingWhenThereIsNoRoom) {
  std::array<std::uint8_t, 3> bytes{9, 9, 9};
  Writer writer(bytes);
  EXPECT_FALSE(writer.write(be32{1}));
  EXPECT_EQ(writer.written(), 0U);
  EXPECT_EQ(bytes[0], 9);
  EXPECT_TRUE(writer.write(be16{0x0506}));
  EXPECT_EQ(bytes[0], 5);
  EXPECT_EQ(writer.left(), 1U);
}

}  // namespace
}  // namespace microagent

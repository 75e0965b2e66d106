#include "wire/checksum.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace microagent::wire {
namespace {

// RFC 1071 word by word, to compare with.
std::uint16_t reference(ByteView bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::vector<std::uint8_t> counting(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0xf3});
  return bytes;
}

TEST(Checksum, IsThatOfTheRfcExample) {
  const std::vector<std::uint8_t> bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  Checksum sum;
  sum.add(bytes);
  EXPECT_EQ(sum.partial(), 0xddf2);
  EXPECT_EQ(sum.value(), 0x220d);
}

TEST(Checksum, IsRightForEveryLength) {
  for (std::size_t size = 0; size < 200; ++size) {
    const auto bytes = counting(size);
    Checksum sum;
    sum.add(bytes);
    EXPECT_EQ(sum.partial(), reference(bytes)) << size;
  }
}

TEST(Checksum, DoesNotDependOnWhereTheBytesAreCut) {
  const auto bytes = counting(97);
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); second += 5) {
      Checksum sum;
      sum.add(ByteView(bytes).first(first));
      sum.add(ByteView(bytes).subspan(first, second - first));
      sum.add(ByteView(bytes).subspan(second));
      EXPECT_EQ(sum.partial(), reference(bytes)) << first << " " << second;
    }
  }
}

TEST(Checksum, OverAWholePacketIsZero) {
  auto bytes = counting(40);
  bytes[10] = bytes[11] = 0;
  Checksum sum;
  sum.add(bytes);
  bytes[10] = static_cast<std::uint8_t>(sum.value() >> 8);
  bytes[11] = static_cast<std::uint8_t>(sum.value());
  Checksum again;
  again.add(bytes);
  EXPECT_EQ(again.value(), 0);
}

TEST(Checksum, CountsThePseudoHeader) {
  const auto source = IpAddress::ipv4({192, 0, 2, 1}), destination = IpAddress::ipv4({198, 51, 100, 2});
  const std::vector<std::uint8_t> bytes{192, 0, 2, 1, 198, 51, 100, 2, 0, 6, 0x12, 0x34};
  EXPECT_EQ(pseudo_header(source, destination, 6, 0x1234).partial(), reference(bytes));
}

}  // namespace
}  // namespace microagent::wire

#include "wire/tcp.h"

#include <gtest/gtest.h>

#include <vector>

namespace microagent::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

TcpOptions full_syn() {
  TcpOptions options;
  options.mss = 1460;
  options.window_scale = 7;
  options.sack_permitted = true;
  options.timestamps = TcpTimestamps{0x01020304, 0x0a0b0c0d};
  return options;
}

TEST(TcpOptions, OfASynSurviveTheRoundTrip) {
  std::array<std::uint8_t, kMaxTcpOptions> bytes;
  const std::size_t size = encode_tcp_options(full_syn(), bytes);
  EXPECT_EQ(size % 4, 0U);
  const auto parsed = parse_tcp_options(ByteView(bytes).first(size));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->mss, 1460);
  EXPECT_EQ(parsed->window_scale, 7);
  EXPECT_TRUE(parsed->sack_permitted);
  ASSERT_TRUE(parsed->timestamps);
  EXPECT_EQ(parsed->timestamps->value, 0x01020304U);
  EXPECT_EQ(parsed->timestamps->echo, 0x0a0b0c0dU);
}

TEST(TcpOptions, SackBlocksSurviveTheRoundTrip) {
  TcpOptions options;
  options.timestamps = TcpTimestamps{1, 2};
  options.sack_count = 3;
  for (std::uint32_t i = 0; i < 3; ++i) options.sack[i] = SackBlock{100 * i, 100 * i + 50};
  std::array<std::uint8_t, kMaxTcpOptions> bytes;
  const std::size_t size = encode_tcp_options(options, bytes);
  EXPECT_EQ(size, kMaxTcpOptions);
  const auto parsed = parse_tcp_options(ByteView(bytes).first(size));
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->sack_count, 3);
  EXPECT_EQ(parsed->sack[2].left, 200U);
  EXPECT_EQ(parsed->sack[2].right, 250U);
}

TEST(TcpOptions, AreNeverReadBeyondAnyPrefix) {
  std::array<std::uint8_t, kMaxTcpOptions> bytes;
  const std::size_t size = encode_tcp_options(full_syn(), bytes);
  for (std::size_t prefix = 0; prefix < size; ++prefix) {
    const Bytes exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(prefix));  // an allocation ASan guards
    parse_tcp_options(exact);
  }
}

TEST(TcpOptions, OfImpossibleLengthAreRefused) {
  for (const Bytes& bytes :
       {Bytes{2, 0, 0, 0}, Bytes{2, 1, 0, 0}, Bytes{2, 5, 0, 0, 0, 0}, Bytes{2, 4, 5}, Bytes{3, 2},
        Bytes{8, 9, 0, 0, 0, 0, 0, 0, 0}, Bytes{5, 9, 0, 0, 0, 0, 0, 0, 0}, Bytes{5, 2}, Bytes{99}}) {
    EXPECT_FALSE(parse_tcp_options(bytes)) << int{bytes[0]} << " " << bytes.size();
  }
}

TEST(TcpOptions, UnknownOnesArePassedOver) {
  const auto parsed = parse_tcp_options(Bytes{254, 4, 1, 2, 1, 2, 4, 5, 0xb4, 0});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->mss, 1460);
}

TEST(TcpOptions, NothingIsReadBehindTheEnd) {
  const auto parsed = parse_tcp_options(Bytes{0, 2, 4, 5, 0xb4});
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->mss);
}

TEST(TcpOptions, ALargerWindowScaleIsTheLargestAllowed) {
  const auto parsed = parse_tcp_options(Bytes{3, 3, 200});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->window_scale, kMaxWindowScale);
}

}  // namespace
}  // namespace microagent::wire

#include "wire/vhost_user.h"

#include <gtest/gtest.h>

#include <vector>

namespace microagent::wire {
namespace {

template <typename Parse>
void expect_only_whole(ByteView whole, Parse parse) {
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse(whole.first(size))) << size;
  std::vector<std::uint8_t> longer(whole.begin(), whole.end());
  longer.push_back(0);
  EXPECT_FALSE(parse(longer));
  EXPECT_TRUE(parse(whole));
}

VhostHeader request(std::uint32_t flags, std::uint32_t size) {
  return VhostHeader{static_cast<std::uint32_t>(VhostRequest::get_features), flags, size};
}

TEST(VhostUser, HeaderIsCheckedBeforeItIsUsed) {
  const VhostHeader good = request(kVhostVersion | kVhostNeedReply, kVhostMaxPayload);
  expect_only_whole(bytes_of(good), parse_vhost_header);
  EXPECT_FALSE(parse_vhost_header(bytes_of(request(0, 0))));
  EXPECT_FALSE(parse_vhost_header(bytes_of(request(2, 0))));
  EXPECT_FALSE(parse_vhost_header(bytes_of(request(kVhostVersion | kVhostReply, 0))));
  EXPECT_FALSE(parse_vhost_header(bytes_of(request(kVhostVersion, kVhostMaxPayload + 1))));
  EXPECT_FALSE(parse_vhost_header(bytes_of(request(kVhostVersion, 0xffffffff))));
}

TEST(VhostUser, FixedPayloadsHaveExactlyTheirSize) {
  const le64 number = 0x1122334455667788;
  expect_only_whole(bytes_of(number), parse_vhost_u64);
  EXPECT_EQ(parse_vhost_u64(bytes_of(number)), 0x1122334455667788U);
  const VhostVringState state{1, 256};
  expect_only_whole(bytes_of(state), parse_vhost_vring_state);
  EXPECT_EQ(parse_vhost_vring_state(bytes_of(state))->value, 256U);
  const VhostVringAddress address{1, 0, 0x1000, 0x3000, 0x2000, 0};
  expect_only_whole(bytes_of(address), parse_vhost_vring_address);
  EXPECT_EQ(parse_vhost_vring_address(bytes_of(address))->available, 0x2000U);
}

TEST(VhostUser, RingDescriptorWordsRoundTrip) {
  for (const bool has_fd : {false, true}) {
    const le64 word = encode_vhost_vring_fd({200, has_fd});
    const auto parsed = parse_vhost_vring_fd(bytes_of(word));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->index, 200);
    EXPECT_EQ(parsed->has_fd, has_fd);
  }
  EXPECT_FALSE(parse_vhost_vring_fd(bytes_of(le64(0x200))));
  EXPECT_FALSE(parse_vhost_vring_fd(bytes_of(le64(std::uint64_t{1} << 63))));
}

TEST(VhostUser, MemoryTableRoundTrips) {
  for (std::size_t count = 1; count <= kVhostMaxRegions; ++count) {
    VhostMemoryTable table;
    table.count = count;
    for (std::size_t i = 0; i < count; ++i) table.regions[i] = {i << 20, 1 << 20, (i << 20) + 0x7f0000000000, i << 12};
    std::array<std::uint8_t, kVhostMaxPayload> payload;
    const std::size_t size = encode_vhost_memory_table(table, payload);
    const ByteView whole = ByteView(payload).first(size);
    expect_only_whole(whole, parse_vhost_memory_table);
    const auto parsed = parse_vhost_memory_table(whole);
    ASSERT_EQ(parsed->count, count);
    EXPECT_EQ(parsed->regions[count - 1].file_offset, (count - 1) << 12);
  }
}

TEST(VhostUser, MemoryTableOfNoneOrTooManyRegionsIsRefused) {
  std::vector<std::uint8_t> payload(8 + 9 * sizeof(VhostRegion));
  EXPECT_FALSE(parse_vhost_memory_table(ByteView(payload).first(8)));
  payload[0] = 9;
  EXPECT_FALSE(parse_vhost_memory_table(payload));
}

TEST(VhostUser, ConfigRequestCarriesWhatItAnnounces) {
  std::vector<std::uint8_t> payload(sizeof(VhostConfigHeader) + 8);
  payload[4] = 8;
  expect_only_whole(payload, parse_vhost_config_request);
  payload[5] = 0xff;
  EXPECT_FALSE(parse_vhost_config_request(payload));
}

}  // namespace
}  // namespace microagent::wire

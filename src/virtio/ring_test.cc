#include "virtio/ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "virtio/testing/driver_queue.h"

namespace microagent::virtio {
namespace {

using testing::DriverBuffer;
using testing::DriverQueue;
using testing::GuestRam;
using wire::RingDescriptor;

constexpr std::uint16_t kSize = 8;
constexpr std::uint16_t kNext = wire::kDescriptorNext;
constexpr std::uint16_t kWrite = wire::kDescriptorWrite;
constexpr std::uint16_t kIndirect = wire::kDescriptorIndirect;

class RingTest : public ::testing::Test {
 protected:
  explicit RingTest(bool event_idx = true) : driver(ram, kSize, event_idx) {
    const std::array<Fd, 1> files{Fd(::dup(ram.file().get()))};
    memory = std::move(*GuestMemory::map(ram.table(), files));
    buffer = ram.allocate(4096);
    start(true);
  }

  void start(bool indirect) { EXPECT_EQ(ring.start(memory, driver.setup(indirect)), RingFault::none); }

  // Offers descriptor 0 and expects the ring to stop for it.
  void expect_fault(RingFault fault) {
    driver.offer(0);
    expect_stopped(fault);
  }
  void expect_stopped(RingFault fault) {
    Chain chain;
    EXPECT_FALSE(ring.pop(room, chain));
    EXPECT_EQ(ring.fault(), fault) << to_string(ring.fault());
    EXPECT_FALSE(ring.running());
    EXPECT_FALSE(ring.pop(room, chain));
    EXPECT_FALSE(ring.publish());
    EXPECT_FALSE(ring.enable_notifications());
  }
  void table_entry(std::uint64_t table, std::size_t index, const RingDescriptor& descriptor) {
    std::memcpy(ram.at(table + index * sizeof descriptor), &descriptor, sizeof descriptor);
  }

  GuestRam ram{1 << 20};
  DriverQueue driver;
  GuestMemory memory;
  Ring ring;
  std::array<iovec, kMaxQueueSize> room{};
  std::uint64_t buffer = 0;
};

class RingWithoutEventIdxTest : public RingTest {
 protected:
  RingWithoutEventIdxTest() : RingTest(false) {}
};

TEST_F(RingTest, PassesChainsBothWays) {
  driver.add(std::array{DriverBuffer{buffer, 10}, DriverBuffer{buffer + 100, 20, true}});
  driver.add_indirect(std::array{DriverBuffer{buffer, 5}, DriverBuffer{buffer + 7, 6}});
  Chain chain;
  ASSERT_TRUE(ring.pop(room, chain));
  EXPECT_EQ(chain.readable_bytes, 10U);
  EXPECT_EQ(chain.writable_bytes, 20U);
  EXPECT_EQ(chain.writable[0].iov_base, memory.at(buffer + 100, 1));
  ring.push_used(chain.head, 20);
  ASSERT_TRUE(ring.pop(room, chain));
  EXPECT_EQ(chain.readable.size(), 2U);
  EXPECT_EQ(chain.readable_bytes, 11U);
  ring.push_used(chain.head, 0);
  EXPECT_FALSE(ring.pop(room, chain));
  EXPECT_FALSE(driver.take_used());
  EXPECT_TRUE(ring.publish());
  EXPECT_EQ(driver.take_used()->length, 20U);
  EXPECT_TRUE(driver.take_used());
  EXPECT_FALSE(driver.take_used());
}

TEST_F(RingTest, RunsPastTheWrapOfItsIndices) {
  Chain chain;
  for (int i = 0; i < 70'000; ++i) {
    ASSERT_TRUE(driver.add(std::array{DriverBuffer{buffer, 64, true}, DriverBuffer{buffer + 64, 64, true}}));
    ASSERT_TRUE(ring.pop(room, chain));
    ring.push_used(chain.head, 128);
    ASSERT_TRUE(ring.publish());
    ASSERT_TRUE(driver.take_used());
  }
}

TEST_F(RingTest, GivesBackWhatItDidNotUse) {
  for (int i = 0; i < 3; ++i) driver.add(std::array{DriverBuffer{buffer + i, 1}});
  Chain chain;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ring.pop(room, chain));
  ring.unpop(2);
  ASSERT_TRUE(ring.pop(room, chain));
  EXPECT_EQ(chain.readable[0].iov_base, memory.at(buffer + 1, 1));
}

TEST_F(RingTest, WithEventIdxInterruptsAndNotificationsComeOnlyWhenAskedFor) {
  EXPECT_FALSE(ring.enable_notifications());
  driver.add(std::array{DriverBuffer{buffer, 1}});
  EXPECT_TRUE(driver.should_notify());
  driver.add(std::array{DriverBuffer{buffer, 1}});
  EXPECT_FALSE(driver.should_notify());
  EXPECT_TRUE(ring.enable_notifications()) << "two chains came unannounced";
  Chain chain;
  while (ring.pop(room, chain)) ring.push_used(chain.head, 0);
  EXPECT_TRUE(ring.publish());
  driver.add(std::array{DriverBuffer{buffer, 1}});
  ASSERT_TRUE(ring.pop(room, chain));
  ring.push_used(chain.head, 0);
  EXPECT_FALSE(ring.publish()) << "the driver has not looked since the last interrupt";
}

TEST_F(RingWithoutEventIdxTest, FlagsSuppressNotifications) {
  ring.disable_notifications();
  driver.add(std::array{DriverBuffer{buffer, 1}});
  EXPECT_FALSE(driver.should_notify());
  EXPECT_TRUE(ring.enable_notifications());
  driver.add(std::array{DriverBuffer{buffer, 1}});
  EXPECT_TRUE(driver.should_notify());
}

TEST_F(RingTest, DescriptorLoop) {
  driver.write_descriptor(0, {buffer, 1, kNext, 1});
  driver.write_descriptor(1, {buffer, 1, kNext, 0});
  expect_fault(RingFault::chain_too_long);
}

TEST_F(RingTest, DescriptorPointsAtItself) {
  driver.write_descriptor(0, {buffer, 1, kNext, 0});
  expect_fault(RingFault::chain_too_long);
}

TEST_F(RingTest, NextOutOfRange) {
  driver.write_descriptor(0, {buffer, 1, kNext, kSize});
  expect_fault(RingFault::next_out_of_range);
}

TEST_F(RingTest, HeadOutOfRange) {
  driver.offer(kSize);
  expect_stopped(RingFault::head_out_of_range);
}

TEST_F(RingTest, AvailableIndexJumps) {
  driver.set_available_index(kSize + 1);
  expect_stopped(RingFault::index_jump);
}

TEST_F(RingTest, AvailableIndexGoesBack) {
  driver.set_available_index(0xffff);
  expect_stopped(RingFault::index_jump);
}

TEST_F(RingTest, EmptyBuffer) {
  driver.write_descriptor(0, {buffer, 0, 0, 0});
  expect_fault(RingFault::buffer_empty);
}

TEST_F(RingTest, BufferWrapsTheAddressSpace) {
  driver.write_descriptor(0, {~std::uint64_t{0} - 10, 0x1000, 0, 0});
  expect_fault(RingFault::buffer_not_in_memory);
}

TEST_F(RingTest, BufferReachesOverTheRegionEdge) {
  driver.write_descriptor(0, {ram.size() - 4, 5, 0, 0});
  expect_fault(RingFault::buffer_not_in_memory);
}

TEST_F(RingTest, ReadableAfterWritable) {
  driver.write_descriptor(0, {buffer, 1, kNext | kWrite, 1});
  driver.write_descriptor(1, {buffer, 1, 0, 0});
  expect_fault(RingFault::readable_after_writable);
}

TEST_F(RingTest, IndirectNotNegotiated) {
  start(false);
  driver.write_descriptor(0, {buffer, 16, kIndirect, 0});
  expect_fault(RingFault::indirect_not_negotiated);
}

TEST_F(RingTest, IndirectOfBadLength) {
  for (const std::uint32_t length : {0U, 1U, 15U, 17U, 16U * (kSize + 1), 0xfffffff0U, 0xffffffffU}) {
    SCOPED_TRACE(length);
    ring.stop();
    driver.set_available_index(0);
    start(true);
    driver.write_descriptor(0, {buffer, length, kIndirect, 0});
    expect_fault(RingFault::indirect_length);
  }
}

TEST_F(RingTest, IndirectWithNext) {
  driver.write_descriptor(0, {buffer, 16, kIndirect | kNext, 1});
  expect_fault(RingFault::indirect_with_next);
}

TEST_F(RingTest, IndirectNested) {
  table_entry(buffer, 0, {buffer, 16, kIndirect, 0});
  driver.write_descriptor(0, {buffer, 16, kIndirect, 0});
  expect_fault(RingFault::indirect_nested);
}

TEST_F(RingTest, IndirectTableOutsideMemory) {
  driver.write_descriptor(0, {ram.size() - 16, 32, kIndirect, 0});
  expect_fault(RingFault::buffer_not_in_memory);
}

TEST_F(RingTest, IndirectTableLoops) {
  table_entry(buffer, 0, {buffer, 1, kNext, 1});
  table_entry(buffer, 1, {buffer, 1, kNext, 0});
  driver.write_descriptor(0, {buffer, 32, kIndirect, 0});
  expect_fault(RingFault::chain_too_long);
}

TEST_F(RingTest, IndirectNextOutOfTheTableEvenIfInsideTheQueue) {
  table_entry(buffer, 0, {buffer, 1, kNext, 1});
  driver.write_descriptor(0, {buffer, 16, kIndirect, 0});
  expect_fault(RingFault::next_out_of_range);
}

TEST_F(RingTest, DirectAndIndirectTogetherAreAtMostTheQueue) {
  for (std::uint16_t i = 0; i + 1 < kSize; ++i) {
    table_entry(buffer, i, {buffer, 1, kNext, static_cast<std::uint16_t>(i + 1)});
  }
  table_entry(buffer, kSize - 1, {buffer, 1, 0, 0});
  driver.write_descriptor(0, {buffer, 1, kNext, 1});
  driver.write_descriptor(1, {buffer, 16 * kSize, kIndirect, 0});
  expect_fault(RingFault::chain_too_long);
}

TEST_F(RingTest, AFullTableIsAllowed) {
  for (std::uint16_t i = 0; i + 1 < kSize; ++i) {
    table_entry(buffer, i, {buffer, 1, kNext, static_cast<std::uint16_t>(i + 1)});
  }
  table_entry(buffer, kSize - 1, {buffer, 1, 0, 0});
  driver.write_descriptor(0, {buffer, 16 * kSize, kIndirect, 0});
  driver.offer(0);
  Chain chain;
  ASSERT_TRUE(ring.pop(room, chain));
  EXPECT_EQ(chain.readable.size(), kSize);
}

TEST_F(RingTest, StartsAgainAfterAFault) {
  driver.write_descriptor(0, {buffer, 0, 0, 0});
  expect_fault(RingFault::buffer_empty);
  driver.set_available_index(0);
  start(true);
  driver.write_descriptor(0, {buffer, 1, 0, 0});
  driver.offer(0);
  Chain chain;
  EXPECT_TRUE(ring.pop(room, chain));
}

TEST_F(RingTest, RefusesSizesAndPlacesThatCannotBe) {
  const auto start_with = [&](const std::function<void(Ring::Setup&)>& change) {
    Ring::Setup setup = driver.setup(true);
    change(setup);
    Ring fresh;
    return fresh.start(memory, setup);
  };
  for (const unsigned size : {0U, 3U, 2048U, 0x8000U}) {
    const auto set = [&](Ring::Setup& setup) { setup.size = static_cast<std::uint16_t>(size); };
    EXPECT_EQ(start_with(set), RingFault::size_not_allowed) << size;
  }
  EXPECT_EQ(start_with([](Ring::Setup& setup) { setup.descriptors += 8; }), RingFault::areas_not_in_memory);
  EXPECT_EQ(start_with([](Ring::Setup& setup) { setup.available += 1; }), RingFault::areas_not_in_memory);
  EXPECT_EQ(start_with([](Ring::Setup& setup) { setup.used += 2; }), RingFault::areas_not_in_memory);
  EXPECT_EQ(start_with([&](Ring::Setup& setup) { setup.used = testing::kUserBase + ram.size() - 8; }),
            RingFault::areas_not_in_memory);
  EXPECT_EQ(start_with([](Ring::Setup& setup) { setup.descriptors = ~std::uint64_t{0} - 15; }),
            RingFault::areas_not_in_memory);
}

}  // namespace
}  // namespace microagent::virtio

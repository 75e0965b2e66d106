#include "virtio/guest_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <limits>

namespace microagent::virtio {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

Fd make_file(std::uint64_t size, unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING) {
  Fd file(::memfd_create("test", flags));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  return file;
}

Result<GuestMemory> map_one(const wire::VhostRegion& region, std::uint64_t file_size = kMiB) {
  wire::VhostMemoryTable table;
  table.count = 1;
  table.regions[0] = region;
  const std::array files{make_file(file_size)};
  return GuestMemory::map(table, files);
}

TEST(GuestMemory, TranslatesInsideARegionAndNowhereElse) {
  const auto memory = map_one({0x10000, 0x1000, 0x7f0000000000, 0x2000});
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->at(0x10000, 0x1000), memory->at_user(0x7f0000000000, 0x1000));
  EXPECT_EQ(memory->at(0x10fff, 1), memory->at(0x10000, 1) + 0xfff);
  EXPECT_EQ(memory->at(0xffff, 1), nullptr);
  EXPECT_EQ(memory->at(0xffff, 2), nullptr);
  EXPECT_EQ(memory->at(0x11000, 1), nullptr);
  EXPECT_EQ(memory->at(0x10fff, 2), nullptr);
  EXPECT_EQ(memory->at(0x10000, 0x1001), nullptr);
  EXPECT_EQ(memory->at_user(0x7f0000001000, 1), nullptr);
}

TEST(GuestMemory, AddressAndLengthNeverWrap) {
  const auto memory = map_one({0x10000, 0x1000, 0x7f0000000000, 0});
  ASSERT_TRUE(memory);
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(memory->at(kMax, 1), nullptr);
  EXPECT_EQ(memory->at(kMax, kMax), nullptr);
  EXPECT_EQ(memory->at(0x10001, kMax), nullptr);
  EXPECT_EQ(memory->at(kMax - 0xf, 0x10020), nullptr);
}

TEST(GuestMemory, NothingHasNoAddress) {
  const auto memory = map_one({0, 0x1000, 0, 0});
  ASSERT_TRUE(memory);
  EXPECT_NE(memory->at(0, 1), nullptr);
  EXPECT_EQ(memory->at(0, 0), nullptr);
}

TEST(GuestMemory, ABufferDoesNotCrossARegionEdgeEvenIntoANeighbour) {
  wire::VhostMemoryTable table;
  table.count = 2;
  table.regions[0] = {0, 0x1000, 0x10000000, 0};
  table.regions[1] = {0x1000, 0x1000, 0x10001000, 0x1000};
  const std::array files{make_file(kMiB), make_file(kMiB)};
  const auto memory = GuestMemory::map(table, files);
  ASSERT_TRUE(memory);
  EXPECT_NE(memory->at(0xfff, 1), nullptr);
  EXPECT_NE(memory->at(0x1000, 1), nullptr);
  EXPECT_EQ(memory->at(0xfff, 2), nullptr);
}

TEST(GuestMemory, RefusesRegionsThatCannotBe) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_FALSE(map_one({0, 0, 0, 0}));
  EXPECT_FALSE(map_one({kMax - 10, 0x1000, 0, 0}));
  EXPECT_FALSE(map_one({0, 0x1000, kMax - 10, 0}));
  EXPECT_FALSE(map_one({0, 0x1000, 0, kMax - 10}));
  EXPECT_FALSE(map_one({0, kMiB + 1, 0, 0}));
  EXPECT_FALSE(map_one({0, kMiB, 0, 1}));
  EXPECT_FALSE(map_one({0, kMax, 0, 0}));
}

TEST(GuestMemory, RefusesOverlapInEitherAddressSpace) {
  for (const auto& second : {wire::VhostRegion{0xfff, 0x1000, 0x20000000, 0}, {0x100000, 0x1000, 0x10000fff, 0}}) {
    wire::VhostMemoryTable table;
    table.count = 2;
    table.regions[0] = {0, 0x1000, 0x10000000, 0};
    table.regions[1] = second;
    const std::array files{make_file(kMiB), make_file(kMiB)};
    EXPECT_FALSE(GuestMemory::map(table, files));
  }
}

TEST(GuestMemory, RefusesATableWithoutAFileForEachRegion) {
  wire::VhostMemoryTable table;
  table.count = 2;
  table.regions[0] = {0, 0x1000, 0, 0};
  table.regions[1] = {0x1000, 0x1000, 0x1000, 0};
  const std::array files{make_file(kMiB)};
  EXPECT_FALSE(GuestMemory::map(table, files));
}

TEST(GuestMemory, TheFileCanNoLongerShrinkOnceItIsMapped) {
  wire::VhostMemoryTable table;
  table.count = 1;
  table.regions[0] = {0, kMiB, 0, 0};
  const std::array files{make_file(kMiB)};
  const auto memory = GuestMemory::map(table, files);
  ASSERT_TRUE(memory);
  EXPECT_NE(::ftruncate(files[0].get(), 0), 0);
  *memory->at(kMiB - 1, 1) = 1;  // would be SIGBUS
}

TEST(GuestMemory, RefusesFilesThatCannotBeSealed) {
  wire::VhostMemoryTable table;
  table.count = 1;
  table.regions[0] = {0, 0x1000, 0, 0};
  const std::array sealed_off{make_file(kMiB, MFD_CLOEXEC)};
  EXPECT_FALSE(GuestMemory::map(table, sealed_off));
  const std::array device{Fd(::open("/dev/zero", O_RDWR | O_CLOEXEC))};
  EXPECT_FALSE(GuestMemory::map(table, device));
}

}  // namespace
}  // namespace microagent::virtio

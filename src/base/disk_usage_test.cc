#include "base/disk_usage.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace microagent {
namespace {

namespace fs = std::filesystem;

TEST(DiskUsage, IsWhatRemovingWouldFree) {
  const fs::path root = fs::path(testing::TempDir()) / ("disk_usage_test." + std::to_string(::getpid()));
  fs::create_directories(root / "some/where");
  const std::uint64_t empty = disk_usage(root);
  std::ofstream(root / "some/where/file") << std::string(1024 * 1024, 'x');
  const std::uint64_t one = disk_usage(root);
  EXPECT_GE(one, empty + 1024 * 1024);
  EXPECT_LT(one, empty + 2 * 1024 * 1024);

  // Holes take nothing, and neither does what is kept elsewhere.
  std::ofstream(root / "some/hole") << "x";
  fs::resize_file(root / "some/hole", 1ULL << 30);
  EXPECT_LT(disk_usage(root), one + 1024 * 1024);
  fs::create_hard_link(root / "some/where/file", root.string() + ".other");
  EXPECT_LT(disk_usage(root), empty + 1024 * 1024);
  fs::remove(root.string() + ".other");
  EXPECT_GE(disk_usage(root), one);

  fs::create_symlink("/usr", root / "link");
  EXPECT_LT(disk_usage(root), one + 1024 * 1024);
  fs::remove_all(root);
  EXPECT_EQ(disk_usage(root), 0U);
}

}  // namespace
}  // namespace microagent

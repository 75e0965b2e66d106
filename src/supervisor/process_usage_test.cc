#include "supervisor/process_usage.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace microagent::supervisor {
namespace {

constexpr std::string_view kStat =
    "4711 (odd) name (x) S 1 4711 4711 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 3 0 12345 1000 200\n";
constexpr std::string_view kStatus = "Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t 1024 kB\nRssShmem:\t  512 kB\n";

TEST(ProcessUsage, IsReadFromWhatTheKernelSays) {
  const auto usage = parse_process_usage(kStat, kStatus, 100);
  ASSERT_TRUE(usage);
  EXPECT_DOUBLE_EQ(usage->cpu_seconds, 4.0);
  EXPECT_EQ(usage->resident_bytes, 2048U * 1024);
  EXPECT_EQ(usage->shared_bytes, 512U * 1024);
}

TEST(ProcessUsage, AZombieHasNoMemory) {
  const auto usage = parse_process_usage(kStat, "Name:\tx\nState:\tZ (zombie)\n", 100);
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->resident_bytes, 0U);
}

TEST(ProcessUsage, IsNothingWhereTheTextIsCutOff) {
  const std::size_t enough = kStat.find(" 150") + 4;
  for (std::size_t size = 0; size < enough - 3; ++size) {
    EXPECT_FALSE(parse_process_usage(kStat.substr(0, size), kStatus, 100)) << size;
  }
  EXPECT_FALSE(parse_process_usage(kStat, kStatus, 0));
}

TEST(ProcessUsage, OfThisProcessIsSomething) {
  const auto usage = read_process_usage(::getpid());
  ASSERT_TRUE(usage);
  EXPECT_GT(usage->resident_bytes, 0U);
  EXPECT_FALSE(read_process_usage(0));
}

}  // namespace
}  // namespace microagent::supervisor

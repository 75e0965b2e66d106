#include "vm/tsc_meter.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

namespace microagent::vm {
namespace {

TEST(TscMeter, AgreesWithItself) {
  const TscMeter meter;
  std::this_thread::sleep_for(TscMeter::kEnough);
  EXPECT_GE(meter.elapsed(), TscMeter::kEnough);
  const std::int64_t first = meter.khz();
  std::this_thread::sleep_for(TscMeter::kEnough);
  const std::int64_t second = meter.khz();
  EXPECT_GT(first, 100'000);
  EXPECT_LT(std::abs(first - second), first / 1000);
}

}  // namespace
}  // namespace microagent::vm

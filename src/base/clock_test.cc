#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>

namespace microagent {
namespace {

std::string seconds_of(std::time_t time) {
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[sizeof "2026-01-01T00:00:00"];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc)};
}

// Over the turn of a second, too.
TEST(Clock, TellsTheTimeToTheNanosecond) {
  std::string last = utc_timestamp();
  for (const std::time_t begun = std::time(nullptr); std::time(nullptr) < begun + 2;) {
    const std::time_t before = std::time(nullptr);
    const std::string text = utc_timestamp();
    const std::time_t after = std::time(nullptr);
    ASSERT_EQ(text.size(), std::string_view("2026-06-27T09:01:02.000000000Z").size());
    ASSERT_GE(text, last);
    // time() may be a tick behind.
    ASSERT_GE(text.substr(0, 19), seconds_of(before));
    ASSERT_LE(text.substr(0, 19), seconds_of(after + 1));
    ASSERT_EQ(text[19], '.');
    ASSERT_EQ(text.find_first_not_of("0123456789", 20), text.size() - 1);
    ASSERT_EQ(text.back(), 'Z');
    last = text;
  }
}

}  // namespace
}  // namespace microagent

#include "supervisor/last_line.h"

#include <gtest/gtest.h>

namespace microagent::supervisor {
namespace {

std::string last_line_of(std::initializer_list<std::string_view> pieces) {
  LastLine line;
  for (const std::string_view piece : pieces) line.feed(piece);
  return line.get();
}

TEST(LastLine, IsTheLastThatHoldsSomething) {
  EXPECT_EQ(last_line_of({}), "");
  EXPECT_EQ(last_line_of({"one\ntwo\n\n\r\n"}), "two");
  EXPECT_EQ(last_line_of({"one\ntw", "o"}), "two");
  EXPECT_EQ(last_line_of({"one\n", "two\n", "\n"}), "two");
}

TEST(LastLine, KeepsAPanicForAsLongAsItsTraceMayBe) {
  const std::string panic = "[ 24.0] Kernel panic - not syncing: sysrq triggered crash";
  EXPECT_EQ(last_line_of({"before\n", panic, "\n[ 24.1] CPU: 0 PID: 99\n[ 24.2] Kernel Offset: 0x1b200000\n"}), panic);
  EXPECT_EQ(last_line_of({panic, "\n", panic, " again\ntrace\n"}), panic + " again");
  std::string long_life = panic + "\n";
  for (int i = 0; i < 200; ++i) long_life += "still alive\n";
  EXPECT_EQ(last_line_of({long_life}), "still alive");
}

TEST(LastLine, IsShortAndPrintable) {
  EXPECT_EQ(last_line_of({"a\x1b[31m\xff"}), "a?[31m?");
  EXPECT_LE(last_line_of({std::string(100'000, 'x')}).size(), 300U);
}

}  // namespace
}  // namespace microagent::supervisor

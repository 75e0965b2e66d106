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

TEST(LastLine, IsShortAndPrintable) {
  EXPECT_EQ(last_line_of({"a\x1b[31m\xff"}), "a?[31m?");
  EXPECT_LE(last_line_of({std::string(100'000, 'x')}).size(), 300U);
}

}  // namespace
}  // namespace microagent::supervisor

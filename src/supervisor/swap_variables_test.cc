#include "supervisor/swap_variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace microagent::supervisor {
namespace {

using testing::Contains;
using testing::Not;
using testing::StartsWith;

std::string read_all(const Fd& pipe) {
  std::string text;
  std::array<char, 4096> chunk{};
  while (const ssize_t count = ::read(pipe.get(), chunk.data(), chunk.size())) {
    if (count < 0) return "cannot be read";
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return text;
}

TEST(SwapVariables, GoThroughAPipeThatEnds) {
  using namespace std::string_literals;
  SwapVariables variables;
  EXPECT_TRUE(variables.empty());
  variables.add("KEY", "s3cret");
  variables.add("MULTI", "a=b\nc");
  EXPECT_FALSE(variables.empty());
  const auto pipe = variables.to_pipe();
  ASSERT_TRUE(pipe);
  EXPECT_EQ(read_all(*pipe), "KEY=s3cret\0MULTI=a=b\nc\0"s);
}

TEST(SwapVariables, FillAPipeAndNoMore) {
  SwapVariables variables;
  variables.add("A", std::string(60 * 1024 - 3, 'x'));
  const auto pipe = variables.to_pipe();
  ASSERT_TRUE(pipe) << pipe.error().message;
  EXPECT_EQ(read_all(*pipe).size(), 60U * 1024);
  variables.add("B", "");
  const auto refused = variables.to_pipe();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::permanent);
}

TEST(SwapVariables, AreTakenOutOfTheEnvironment) {
  ::setenv("SWAP_TEST_KEY", "s3cret", 1);
  ::setenv("SWAP_TEST_KEY_ID", "other", 1);
  SwapVariables variables;
  EXPECT_THAT(variables.other_environment(), Contains("SWAP_TEST_KEY=s3cret"));
  variables.add("SWAP_TEST_KEY", "s3cret");
  EXPECT_THAT(variables.other_environment(), Not(Contains(StartsWith("SWAP_TEST_KEY="))));
  EXPECT_THAT(variables.other_environment(), Contains("SWAP_TEST_KEY_ID=other"));
  EXPECT_THAT(variables.other_environment(), Contains(StartsWith("PATH=")));
}

}  // namespace
}  // namespace microagent::supervisor

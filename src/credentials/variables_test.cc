#include "credentials/variables.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/fd.h"

namespace microagent::credentials {
namespace {

Result<Variables> read(std::string_view text) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const ssize_t written = ::write(writing.get(), text.data(), text.size());
  EXPECT_EQ(written, static_cast<ssize_t>(text.size()));
  writing.reset();
  return Variables::read_from(reading.get());
}

TEST(Variables, ComeThroughAPipe) {
  const auto variables = read(std::string_view("A=one\0B=two=2\0C=\0", 17));
  ASSERT_TRUE(variables);
  EXPECT_EQ(variables->find("A")->view(), "one");
  EXPECT_EQ(variables->find("B")->view(), "two=2");
  EXPECT_TRUE(variables->find("C")->empty());
  EXPECT_EQ(variables->find("D"), nullptr);
  EXPECT_TRUE(read("")->empty());
}

TEST(Variables, AreReadStrictly) {
  for (const std::string_view text :
       {std::string_view("A=one"), std::string_view("A\0", 2), std::string_view("=x\0", 3)}) {
    EXPECT_FALSE(read(text)) << text;
  }
  EXPECT_FALSE(read("A=" + std::string(kMaxVariables, 'x') + '\0'));
}

}  // namespace
}  // namespace microagent::credentials

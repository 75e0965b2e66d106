#include "audit/head.h"

#include <gtest/gtest.h>

#include "audit/log_files.h"
#include "audit/test_log.h"

namespace microagent::audit {
namespace {

const std::string kHash(64, 'a'), kOther(64, '0');

TEST(Head, RoundTripsAndIsReplacedWhole) {
  TestLog log;
  EXPECT_EQ(*read_head(log.path()), std::nullopt);
  const auto file = HeadFile::open(log.path());
  ASSERT_TRUE(file);
  EXPECT_EQ(*read_head(log.path()), std::nullopt);  // made, and nothing written yet
  ASSERT_TRUE(file->write({~std::uint64_t{0}, kHash}));
  EXPECT_EQ(*read_head(log.path()), (Head{~std::uint64_t{0}, kHash}));
  ASSERT_TRUE(file->write({7, kOther}));
  EXPECT_EQ(*read_head(log.path()), (Head{7, kOther}));
}

TEST(Head, IsRefusedWhenItIsNone) {
  TestLog log;
  const auto file = HeadFile::open(log.path());
  ASSERT_TRUE(file->write({7, kHash}));
  const std::string whole = TestLog::read(head_file(log.path()));
  for (std::size_t length = 1; length < whole.size(); ++length) {
    std::ofstream(head_file(log.path()), std::ios::trunc) << whole.substr(0, length);
    EXPECT_FALSE(read_head(log.path())) << length;
  }
  for (const std::string& text : {whole + "x", "-" + whole.substr(1), whole.substr(0, 85 - 2) + "g\n"}) {
    std::ofstream(head_file(log.path()), std::ios::trunc) << text;
    EXPECT_FALSE(read_head(log.path())) << text;
  }
}

}  // namespace
}  // namespace microagent::audit

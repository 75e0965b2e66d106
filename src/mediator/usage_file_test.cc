#include "mediator/usage_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "mediator/test_directory.h"

namespace microagent::mediator {
namespace {

class UsageFileTest : public testing::Test {
 protected:
  void put(std::string_view content) const { std::ofstream(file_, std::ios::trunc) << content; }

  TestDirectory directory_;
  std::filesystem::path file_ = directory_.audit_file().parent_path() / "usage.json";
};

TEST_F(UsageFileTest, IsReadAsItWasWritten) {
  EXPECT_TRUE(read_usage(file_)->empty());
  const ChargedBytes charged{{"workspace", 17}, {"rule a.example:443", ~std::uint64_t{0}}};
  ASSERT_TRUE(write_usage(file_, charged));
  EXPECT_EQ(*read_usage(file_), charged);
  struct stat info {};
  ASSERT_EQ(::stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  ASSERT_TRUE(write_usage(file_, {}));
  EXPECT_TRUE(read_usage(file_)->empty());
}

TEST_F(UsageFileTest, IsNeverGuessed) {
  for (const char* content : {"", "{", "[]", "{}", R"({"version":1})", R"({"version":2,"bytes":{}})",
                              R"({"version":1,"bytes":{"workspace":-1}})", R"({"version":1,"bytes":{"workspace":1.5}})",
                              R"({"version":1,"bytes":{},"more":1})"}) {
    put(content);
    const auto read = read_usage(file_);
    ASSERT_FALSE(read) << content;
    EXPECT_NE(read.error().message.find("usage.json"), std::string::npos);
  }
}

TEST_F(UsageFileTest, StaysWholeWhenTheDiskIsFull) {
  ASSERT_TRUE(write_usage(file_, {{"workspace", 1}}));
  put(R"({"version":1,"bytes":{"workspace":1}})");
  std::ofstream(directory_.audit_file()) << "";
  {
    const FullDisk full(directory_.audit_file());
    EXPECT_FALSE(write_usage(file_, {{"workspace", 2}}));
  }
  EXPECT_EQ(read_usage(file_)->at("workspace"), 1U);
  EXPECT_TRUE(write_usage(file_, {{"workspace", 2}}));
}

}  // namespace
}  // namespace microagent::mediator

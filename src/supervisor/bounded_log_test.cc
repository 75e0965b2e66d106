#include "supervisor/bounded_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace microagent::supervisor {
namespace {

namespace fs = std::filesystem;

class Log : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }
  static std::string read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const fs::path directory_ = fs::path(testing::TempDir()) / ("bounded_log_test." + std::to_string(::getpid()));
  const fs::path path_ = directory_ / "console.log";
  const fs::path older_ = directory_ / "console.log.1";
};

TEST_F(Log, BeginsEmptyAndPrivate) {
  std::ofstream(path_) << "of the last run";
  std::ofstream(older_) << "of the last run";
  auto log = BoundedLog::create(path_, 100);
  ASSERT_TRUE(log);
  log->write("hello\n");
  EXPECT_EQ(read(path_), "hello\n");
  EXPECT_FALSE(fs::exists(older_));
}

TEST_F(Log, TheNextLifeFollowsTheLastOne) {
  open_log_of_life(directory_, "console.log", false)->write("first\n");
  EXPECT_EQ(read(path_), "first\n");
  std::ofstream(older_) << "still older";
  open_log_of_life(directory_, "console.log", false)->write("cut off");
  const std::string two = read(path_);
  EXPECT_TRUE(two.starts_with("first\n--- a new life of the workspace, 2")) << two;
  EXPECT_TRUE(two.ends_with("Z ---\ncut off")) << two;
  open_log_of_life(directory_, "console.log", false)->write("third\n");
  const std::string three = read(path_);
  EXPECT_TRUE(three.starts_with(two + "\n--- a new life")) << three;
  EXPECT_TRUE(three.ends_with(" ---\nthird\n")) << three;
  EXPECT_EQ(read(older_), "still older");
}

TEST_F(Log, ACopyTouchesNoOthersLog) {
  open_log_of_life(directory_, "console.log", false)->write("why it crashed\n");
  for (const char* text : {"one copy\n", "another copy\n"}) {
    open_log_of_life(directory_, "console.log", true)->write(text);
    EXPECT_EQ(read(directory_ / "copy-console.log"), text);
  }
  EXPECT_EQ(read(path_), "why it crashed\n");
}

TEST_F(Log, KeepsWithinItsLimitAndOneOlderFile) {
  auto log = BoundedLog::create(path_, 10);
  ASSERT_TRUE(log);
  const int number = log->fd();
  for (const char* line : {"aaaaaaaa", "bbbbbbbb", "cccccccc"}) log->write(line);
  EXPECT_EQ(read(path_), "cccccccc");
  EXPECT_EQ(read(older_), "bbbbbbbb");
  EXPECT_EQ(log->fd(), number);
}

TEST_F(Log, CountsWhatOthersWrite) {
  auto log = BoundedLog::create(path_, 10);
  ASSERT_TRUE(log);
  ASSERT_EQ(::write(log->fd(), "aaaaaaaa", 8), 8);
  log->write("bbbbbbbb");
  EXPECT_EQ(read(older_), "aaaaaaaa");
}

TEST_F(Log, SaysWhyItCannotBegin) {
  const auto log = BoundedLog::create(directory_ / "absent" / "console.log", 10);
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("console.log"), std::string::npos);
}

TEST_F(Log, FollowsNoLink) {
  fs::create_symlink(directory_ / "elsewhere", path_);
  EXPECT_FALSE(BoundedLog::create(path_, 10));
}

}  // namespace
}  // namespace microagent::supervisor

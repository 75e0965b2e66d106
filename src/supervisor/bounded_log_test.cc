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

#include "init/result_watch.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace microagent::init {
namespace {

class ResultWatchTest : public testing::Test {
 protected:
  ResultWatchTest() {
    std::string pattern = testing::TempDir() + "resultXXXXXX";
    root_ = ::mkdtemp(pattern.data());
    watch_.emplace(*ResultWatch::open(loop_, root_ / "run/result", [this] { ++told_; }));
  }
  ~ResultWatchTest() override { std::filesystem::remove_all(root_); }

  // Whatever has happened so far is told.
  void settle() {
    bool over = false;
    loop_.after(std::chrono::milliseconds(20), [&] { over = true; });
    while (!over) loop_.step();
  }

  std::filesystem::path root_;
  Loop loop_ = *Loop::make();
  int told_ = 0;
  std::optional<ResultWatch> watch_;
};

TEST_F(ResultWatchTest, TellsWhenTheFileIsWrittenAndNotBefore) {
  std::ofstream file(root_ / "run/result");
  file << "part" << std::flush;
  std::ofstream(root_ / "run/other") << "x";
  settle();
  EXPECT_EQ(told_, 0);
  file.close();
  settle();
  EXPECT_EQ(told_, 1);
}

TEST_F(ResultWatchTest, TellsAgainWhenTheFileIsWrittenAgain) {
  for (int i = 0; i < 3; ++i) std::ofstream(root_ / "run/result") << "again";
  settle();
  EXPECT_EQ(told_, 1);  // what happened in between is one change
  std::ofstream(root_ / "run/result") << "again";
  settle();
  EXPECT_EQ(told_, 2);
}

TEST_F(ResultWatchTest, TellsOfAFileThatIsMovedThere) {
  std::ofstream(root_ / "elsewhere") << "x";
  std::filesystem::rename(root_ / "elsewhere", root_ / "run/result");
  settle();
  EXPECT_EQ(told_, 1);
}

}  // namespace
}  // namespace microagent::init

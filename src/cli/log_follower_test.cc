#include "cli/log_follower.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

namespace microagent::cli {
namespace {

namespace fs = std::filesystem;

class LogTest : public testing::Test {
 protected:
  LogTest() {
    std::string name = (fs::temp_directory_path() / "logs.XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ / "console.log";
  }
  ~LogTest() override { fs::remove_all(directory_); }

  void append(std::string_view text) { std::ofstream(path_, std::ios::app) << text; }
  void rotate() { fs::rename(path_, path_.string() + ".1"); }

  // Follows, and takes the next step each time it is asked whether the workspace has ended; after the last one it has.
  std::string follow(const std::vector<std::function<void()>>& steps) {
    struct Script final : GrowthWatch {
      explicit Script(const std::vector<std::function<void()>>& all) : steps(all) {}
      Result<bool> over() override {
        if (next < steps.size()) steps[next++]();
        return next == steps.size();
      }
      void wait() override {}
      const std::vector<std::function<void()>>& steps;
      std::size_t next = 0;
    } script(steps);
    EXPECT_TRUE(follow_log(path_, sink_, script));
    return text_;
  }

  fs::path directory_, path_;
  std::string text_;
  LogSink sink_ = [this](std::string_view part) {
    text_ += part;
    return Status{};
  };
};

TEST_F(LogTest, NoLogIsAnEmptyLog) {
  ASSERT_TRUE(read_log(path_, sink_));
  EXPECT_EQ(text_, "");
}

TEST_F(LogTest, ReadsTheOlderPartFirst) {
  append("one\n");
  rotate();
  append("two\n");
  ASSERT_TRUE(read_log(path_, sink_));
  EXPECT_EQ(text_, "one\ntwo\n");
}

TEST_F(LogTest, AFailingSinkEndsTheReading) {
  append("one\n");
  EXPECT_FALSE(read_log(path_, [](std::string_view) -> Status { return fail(ErrorKind::permanent, "full"); }));
}

TEST_F(LogTest, FollowsFromTheBeginningToTheEnd) {
  append("one\n");
  EXPECT_EQ(follow({[&] { append("two\n"); }, [&] { append("three\n"); }}), "one\ntwo\nthree\n");
}

TEST_F(LogTest, FollowsALogThatIsYetToBegin) {
  EXPECT_EQ(follow({[&] { append("one\n"); }, [&] {}}), "one\n");
}

TEST_F(LogTest, FollowsThroughARotation) {
  append("one\n");
  EXPECT_EQ(follow({[&] {
                      append("two\n");
                      rotate();
                      append("three\n");
                    },
                    [&] {}}),
            "one\ntwo\nthree\n");
}

TEST(LineSplitterTest, MakesLinesOfParts) {
  std::vector<std::string> lines;
  LineSplitter splitter([&](std::string_view line) {
    lines.emplace_back(line);
    return Status{};
  });
  for (const char* part : {"on", "e\r\ntwo\n\nth", "ree"}) EXPECT_TRUE(splitter(part));
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", ""}));
  EXPECT_TRUE(splitter.finish());
  EXPECT_TRUE(splitter.finish());
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "", "three"}));
}

TEST_F(LogTest, GivesTheLastLines) {
  const auto tail = [&](std::uint64_t wanted) {
    const auto lines = lines_before_last(path_, wanted);
    EXPECT_TRUE(lines);
    LineSkipper skip(*lines);
    std::string text;
    EXPECT_TRUE(read_log(path_, [&](std::string_view part) {
      text += skip(part);
      return Status();
    }));
    return text;
  };
  EXPECT_EQ(tail(3), "");
  append("one\ntwo\nthree\n");
  EXPECT_EQ(tail(2), "two\nthree\n");
  EXPECT_EQ(tail(0), "");
  EXPECT_EQ(tail(9), "one\ntwo\nthree\n");
  append("begun");
  EXPECT_EQ(tail(2), "three\nbegun");
  rotate();
  append(" and ended\nlast\n");
  EXPECT_EQ(tail(2), "begun and ended\nlast\n");
  EXPECT_EQ(tail(3), "three\nbegun and ended\nlast\n");
}

}  // namespace
}  // namespace microagent::cli

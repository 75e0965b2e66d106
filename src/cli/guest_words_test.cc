#include "cli/guest_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Words = std::vector<std::string>;

class GuestWordsTest : public testing::Test {
 protected:
  GuestWordsTest() {
    app_.add_flag("--json", json_);
    app_.add_option("--state-dir", text_);
    for (const char* name : {"exec", "run", "list"}) {
      CLI::App* command = app_.add_subcommand(name);
      command->add_option("-p,--publish", list_)->expected(1)->allow_extra_args(false);
      command->add_option("--memory", text_);
      command->add_flag("-t,--tty", json_);
      command->add_option("NAME", text_);
    }
  }

  // What is cut off; what stays is in `rest_`.
  Words cut(Words words) {
    Words cut = cut_off_guest_words(app_, words);
    rest_ = std::move(words);
    return cut;
  }

  CLI::App app_;
  bool json_ = false;
  std::string text_;
  Words list_, rest_;
};

TEST_F(GuestWordsTest, ExecHasThemBehindTheMark) {
  EXPECT_THAT(cut({"exec", "web", "--", "ls", "-l", "--", "x"}), ElementsAre("ls", "-l", "--", "x"));
  EXPECT_THAT(rest_, ElementsAre("exec", "web"));
  EXPECT_THAT(cut({"exec", "web", "ls"}), IsEmpty());
  EXPECT_THAT(rest_, ElementsAre("exec", "web", "ls"));
}

TEST_F(GuestWordsTest, RunHasThemBehindTheImage) {
  EXPECT_THAT(cut({"run", "base", "ls", "-l", "--json"}), ElementsAre("ls", "-l", "--json"));
  EXPECT_THAT(rest_, ElementsAre("run", "base"));
  EXPECT_THAT(cut({"run", "base"}), IsEmpty());
  EXPECT_THAT(cut({"run"}), IsEmpty());
}

TEST_F(GuestWordsTest, RunHasThemBehindTheMarkToo) {
  EXPECT_THAT(cut({"run", "base", "--", "sh", "--", "-c"}), ElementsAre("sh", "--", "-c"));
  EXPECT_THAT(rest_, ElementsAre("run", "base"));
  EXPECT_THAT(cut({"run", "base", "sh", "--", "-c"}), ElementsAre("sh", "--", "-c"));
  EXPECT_THAT(cut({"run", "base", "--"}), IsEmpty());
  EXPECT_THAT(rest_, ElementsAre("run", "base"));
}

TEST_F(GuestWordsTest, ValuesOfOptionsAreNoWordsOfTheGuest) {
  EXPECT_THAT(
      cut({"--state-dir", "run", "run", "-p", "1:2", "--memory", "512", "base", "-t", "--state-dir", "d", "top"}),
      ElementsAre("top"));
  EXPECT_THAT(cut({"run", "--memory=512", "-p1:2", "-t", "base", "top"}), ElementsAre("top"));
  EXPECT_THAT(cut({"run", "--json", "base", "--unknown", "top"}), ElementsAre("top"));
  EXPECT_THAT(cut({"run", "base", "--memory"}), IsEmpty());
}

TEST_F(GuestWordsTest, OtherCommandsKeepTheirWords) {
  EXPECT_THAT(cut({"list", "run", "--", "x"}), IsEmpty());
  EXPECT_THAT(rest_, ElementsAre("list", "run", "--", "x"));
  EXPECT_THAT(cut({}), IsEmpty());
}

}  // namespace
}  // namespace microagent::cli

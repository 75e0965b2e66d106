#include "cli/command_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command_line.h"
#include "cli/completion_scripts.h"

namespace microagent::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const CommandWords* find(const CommandWords& root, const std::string& name) {
  for (const CommandWords* command : flatten(root)) {
    if (command->full_name() == name) return command;
  }
  return nullptr;
}

const OptionWords* find_option(const CommandWords& command, const std::string& name) {
  for (const OptionWords& option : command.options) {
    if (std::ranges::find(option.names, name) != option.names.end()) return &option;
  }
  return nullptr;
}

class CommandTree : public testing::Test {
 protected:
  const CommandWords root_ = command_words();
};

TEST_F(CommandTree, HoldsEveryCommandAndWhatIsBelowIt) {
  ASSERT_TRUE(find(root_, "microagent"));
  const CommandWords* stop = find(root_, "microagent stop");
  ASSERT_TRUE(stop);
  EXPECT_THAT(stop->aliases, ElementsAre("halt"));
  EXPECT_THAT(stop->operands, ElementsAre("NAME"));
  EXPECT_TRUE(stop->takes_workspace());
  const CommandWords* allow = find(root_, "microagent egress allow");
  ASSERT_TRUE(allow);
  EXPECT_EQ(allow->full_name('-'), "microagent-egress-allow");
  EXPECT_FALSE(find(root_, "microagent create")->takes_workspace());
  EXPECT_FALSE(root_.takes_workspace());
}

TEST_F(CommandTree, KnowsWhatAnOptionTakes) {
  const CommandWords* create = find(root_, "microagent create");
  ASSERT_TRUE(create);
  const OptionWords* publish = find_option(*create, "--publish");
  ASSERT_TRUE(publish);
  EXPECT_THAT(publish->names, ElementsAre("-p", "--publish"));
  EXPECT_EQ(publish->value, "MAPPING");
  EXPECT_THAT(publish->choices, IsEmpty());
  EXPECT_EQ(find_option(*create, "--dry-run")->value, "");
  EXPECT_EQ(find_option(*create, "--file")->value, "FILE");
  const OptionWords* output = find_option(root_, "--output");
  ASSERT_TRUE(output);
  EXPECT_EQ(output->value, "FORMAT");
  EXPECT_THAT(output->choices, testing::UnorderedElementsAre("text", "json"));
}

TEST_F(CommandTree, IsWhatTheScriptsAreMadeOf) {
  for (const std::string& script : {bash_completion(root_), zsh_completion(root_), fish_completion(root_)}) {
    for (const CommandWords* command : flatten(root_)) {
      if (!command->path.empty()) EXPECT_THAT(script, HasSubstr(command->name()));
    }
    EXPECT_THAT(script, HasSubstr("reset-caps"));
    EXPECT_THAT(script, HasSubstr("microagent list"));
  }
}

}  // namespace
}  // namespace microagent::cli

#include "init/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::init {
namespace {

using testing::ElementsAre;

TEST(Environment, HasWhatEveryCommandExpectsUnlessDeclaredOtherwise) {
  const Environment environment = workspace_environment({}, {"HOME=/srv", "A=b=c"});
  EXPECT_EQ(value_of(environment, "HOME"), "/srv");
  EXPECT_EQ(value_of(environment, "A"), "b=c");
  EXPECT_THAT(std::string(value_of(environment, "PATH")), testing::HasSubstr("/usr/bin"));
  EXPECT_EQ(value_of(environment, "NONE"), "");
}

TEST(Environment, IsTheUsersThenTheImagesThenTrustsThenTheWorkspaces) {
  const Identity web{1001, 1001, {}, "web", "/srv/web"};
  const Environment plain = workspace_environment(web, {});
  EXPECT_EQ(value_of(plain, "HOME"), "/srv/web");
  EXPECT_EQ(value_of(plain, "USER"), "web");
  const Environment all = workspace_environment(
      web, chosen_environment({"PATH=/opt", "A=image", "CA=image", "B=image"}, {"CA=trust", "B=trust"}, {"B=mine"}));
  EXPECT_EQ(value_of(all, "PATH"), "/opt");
  EXPECT_EQ(value_of(all, "A"), "image");
  EXPECT_EQ(value_of(all, "CA"), "trust");
  EXPECT_EQ(value_of(all, "B"), "mine");
}

TEST(Environment, HoldsEveryNameOnceAndTheLastValueWins) {
  EXPECT_THAT(merge({"A=1", "AB=2"}, {"A=3", "C=4", "C=5", "A="}), ElementsAre("A=", "AB=2", "C=5"));
}

TEST(Environment, FindsCommandsAsExecvpDoes) {
  EXPECT_THAT(candidates("ls", {"PATH=/bin:/usr/bin"}), ElementsAre("/bin/ls", "/usr/bin/ls"));
  EXPECT_THAT(candidates("ls", {"PATH=:/bin:"}), ElementsAre("./ls", "/bin/ls", "./ls"));
  EXPECT_THAT(candidates("ls", {}), ElementsAre("./ls"));
  EXPECT_THAT(candidates("./ls", {"PATH=/bin"}), ElementsAre("./ls"));
  EXPECT_THAT(candidates("", {"PATH=/bin"}), ElementsAre(""));
}

}  // namespace
}  // namespace microagent::init

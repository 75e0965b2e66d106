#include "credentials/helper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "credentials/test_loop.h"

namespace microagent::credentials {
namespace {

using testing::HasSubstr;
using testing::Not;

class HelperTest : public testing::Test {
 protected:
  HelperTest() { MICROAGENT_CHECK(::mkdtemp(directory_) != nullptr); }
  ~HelperTest() override { std::filesystem::remove_all(directory_); }

  std::string script(const std::string& text) {
    const std::string path = std::string(directory_) + "/helper";
    std::ofstream(path) << "#!/bin/sh\n" << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }

  Result<Secret> run_script(const std::string& text, const std::string& words = {},
                            std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    return run(io_, Helper(patience).run(script(text) + words));
  }

  std::string refusal(const std::string& text, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    const auto secret = run_script(text, {}, patience);
    return secret ? "accepted" : secret.error().message;
  }

  char directory_[32] = "/tmp/helper-test-XXXXXX";
  asio::io_context io_;
};

TEST_F(HelperTest, GivesWhatAProgramPrints) {
  EXPECT_EQ(run_script("echo s3cret").value().view(), "s3cret");
  EXPECT_EQ(run_script("printf '%s-%s' \"$1\" \"$2\"", "  a b").value().view(), "a-b");
}

TEST_F(HelperTest, RunsWithAnEnvironmentOfItsOwn) {
  ::setenv("HELPER_TEST_SECRET", "x", 1);
  EXPECT_EQ(run_script("echo \"[$HELPER_TEST_SECRET]\"").value().view(), "[]");
  EXPECT_EQ(run_script("test -n \"$HOME\" && test -n \"$PATH\" && echo both").value().view(), "both");
  ::unsetenv("HELPER_TEST_SECRET");
}

TEST_F(HelperTest, TellsFailuresWithoutTheOutput) {
  EXPECT_THAT(refusal("echo s3cret; exit 3"),
              testing::AllOf(HasSubstr("exited with code 3"), Not(HasSubstr("s3cret"))));
  EXPECT_THAT(refusal("kill -9 $$"), HasSubstr("was killed"));
  EXPECT_THAT(refusal("true"), HasSubstr("printed nothing"));
  EXPECT_THAT(refusal("head -c 20000 /dev/zero"), HasSubstr("more than 16384 bytes"));
  EXPECT_THAT(run(io_, Helper().run("/nowhere/helper")).error().message, HasSubstr("cannot be run"));
}

TEST_F(HelperTest, IsKilledWithItsChildrenWhenItIsSlow) {
  const std::string fifo = std::string(directory_) + "/never";
  ASSERT_EQ(std::system(("mkfifo " + fifo).c_str()), 0);
  EXPECT_THAT(refusal("cat " + fifo, std::chrono::milliseconds(200)), HasSubstr("took too long"));
}

}  // namespace
}  // namespace microagent::credentials

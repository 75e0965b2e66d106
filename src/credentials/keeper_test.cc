#include "credentials/keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "credentials/test_loop.h"

namespace microagent::credentials {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

policy::SwapSet one_swap() {
  return policy::SwapSet::compile(
             {{"api", "", {{"type", "static"}, {"domains", {"a.example"}}, {"key_ref", "env:KEY"}}, {}}})
      .value();
}

// Credentials are made when the test says so, at the time it says.
class KeeperTest : public testing::Test {
 protected:
  KeeperTest()
      : gate_(io_, Clock::time_point::max()),
        keeper_(
            io_.get_executor(), one_swap(), [this](const policy::Swap&) { return make(); }, [this] { return now_; }) {}

  asio::awaitable<Result<Minted>> make() {
    ++made_;
    while (closed_) co_await gate_.async_wait(kAsTuple);
    if (!error_.empty()) co_return fail(ErrorKind::transient, error_);
    co_return Minted{Secret::of(secret_), seconds(100), seconds(60)};
  }

  void open() {
    closed_ = false;
    gate_.cancel();
  }

  std::string obtain(std::uint64_t refused = 0) {
    const auto credential = run(io_, keeper_.obtain(0, refused));
    if (credential) version_ = credential->version;
    return credential ? std::string(credential->secret->view()) : "error: " + credential.error().message;
  }

  // Lets everything run that can.
  void settle() {
    io_.restart();
    while (io_.poll_one() > 0) {
    }
  }

  asio::io_context io_;
  asio::steady_timer gate_;
  Clock::time_point now_ = Clock::now();
  bool closed_ = false;
  std::string secret_ = "first", error_;
  int made_ = 0;
  std::uint64_t version_ = 0;
  Keeper keeper_;
};

TEST_F(KeeperTest, MakesOneForAllWhoAskAtOnce) {
  closed_ = true;
  int answers = 0;
  for (int i = 0; i < 500; ++i) {
    asio::co_spawn(io_, keeper_.obtain(0, 0), [&](const std::exception_ptr&, Result<Credential> credential) {
      ASSERT_TRUE(credential);
      EXPECT_EQ(credential->secret->view(), "first");
      ++answers;
    });
  }
  settle();
  EXPECT_EQ(answers, 0);
  open();
  settle();
  EXPECT_EQ(answers, 500);
  EXPECT_EQ(made_, 1);
}

TEST_F(KeeperTest, UsesItUntilItIsTooOld) {
  EXPECT_EQ(obtain(), "first");
  now_ += seconds(59);
  secret_ = "second";
  EXPECT_EQ(obtain(), "first");
  EXPECT_EQ(made_, 1);
  now_ += seconds(42);
  EXPECT_EQ(obtain(), "second");
  EXPECT_EQ(version_, 2U);
}

TEST_F(KeeperTest, FetchesTheNextBeforeTheEndWithoutAnybodyWaiting) {
  EXPECT_EQ(obtain(), "first");
  now_ += seconds(61);
  secret_ = "second";
  closed_ = true;
  EXPECT_EQ(obtain(), "first");
  EXPECT_EQ(obtain(), "first");
  settle();
  EXPECT_EQ(made_, 2);
  open();
  settle();
  EXPECT_EQ(obtain(), "second");
  EXPECT_EQ(made_, 2);
}

TEST_F(KeeperTest, WaitsLongerAfterEachFailure) {
  error_ = "no";
  EXPECT_EQ(obtain(), "error: no");
  EXPECT_EQ(obtain(), "error: no");
  EXPECT_EQ(made_, 1);
  now_ += seconds(1);
  EXPECT_EQ(obtain(), "error: no");
  EXPECT_EQ(made_, 2);
  now_ += seconds(1);
  EXPECT_EQ(obtain(), "error: no");
  EXPECT_EQ(made_, 2);
  now_ += seconds(1);
  error_.clear();
  EXPECT_EQ(obtain(), "first");
  EXPECT_EQ(made_, 3);
}

TEST_F(KeeperTest, KeepsWhatIsGoodWhileItMayNotAskAgain) {
  EXPECT_EQ(obtain(), "first");
  error_ = "no";
  EXPECT_EQ(obtain(1), "first");  // refused, and nothing else is to be had
  EXPECT_EQ(made_, 2);
  now_ += Keeper::kBetweenForced;
  EXPECT_EQ(obtain(1), "first");
  EXPECT_EQ(made_, 3);
  EXPECT_EQ(obtain(1), "first");  // within the pause
  EXPECT_EQ(made_, 3);
}

TEST_F(KeeperTest, NeverWaitsLongerThanAMinute) {
  error_ = "no";
  for (int i = 0; i < 40; ++i) {
    obtain();
    now_ += Keeper::kLongestPause;
  }
  EXPECT_EQ(made_, 40);
}

TEST_F(KeeperTest, OutlivesAFailureWhileItIsGood) {
  EXPECT_EQ(obtain(), "first");
  now_ += seconds(61);
  error_ = "no";
  EXPECT_EQ(obtain(), "first");
  settle();
  EXPECT_EQ(made_, 2);
  EXPECT_EQ(obtain(), "first");
  EXPECT_EQ(made_, 2);
  now_ += seconds(40);
  EXPECT_EQ(obtain(), "error: no");
}

TEST_F(KeeperTest, LooksAgainOnceWhenTheUpstreamRefuses) {
  EXPECT_EQ(obtain(), "first");
  secret_ = "second";
  EXPECT_EQ(obtain(version_), "second");
  EXPECT_EQ(made_, 2);
  EXPECT_EQ(obtain(1), "second");  // of the one before
  EXPECT_EQ(obtain(version_), "second");
  EXPECT_EQ(made_, 2);
  now_ += Keeper::kBetweenForced;
  EXPECT_EQ(obtain(version_), "second");
  EXPECT_EQ(made_, 3);
  EXPECT_EQ(version_, 2U);  // it is the same
}

TEST_F(KeeperTest, RefusesWhatNoHeaderMayHold) {
  for (const char* secret : {"a\r\nX: y", "a\nb", " a", "a ", "", "a\tb", "a\x7f"}) {
    secret_ = secret;
    EXPECT_THAT(obtain(), HasSubstr("no header may hold")) << secret;
    now_ += Keeper::kLongestPause;
  }
  EXPECT_THAT(run(io_, keeper_.obtain(1)).error().message, HasSubstr("no such swap"));
}

}  // namespace
}  // namespace microagent::credentials

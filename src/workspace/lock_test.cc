#include "workspace/lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "workspace/test_directory.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;

class LockTest : public testing::Test {
 protected:
  TestDirectory directory_;
  const fs::path path_ = directory_.path() / "web.lock";
};

TEST_F(LockTest, IsHeldByOne) {
  auto first = try_lock_file(path_);
  ASSERT_TRUE(first && *first);
  EXPECT_FALSE(*try_lock_file(path_));
  EXPECT_TRUE(*is_file_locked(path_));
  EXPECT_FALSE(*keep_unlocked(path_));
  first->reset();
  EXPECT_FALSE(*is_file_locked(path_));
  EXPECT_TRUE(*try_lock_file(path_));
}

TEST_F(LockTest, WhoWantsItWaitsForWhoKeepsItFree) {
  auto kept = keep_unlocked(path_);
  ASSERT_TRUE(kept && *kept);
  EXPECT_FALSE(*is_file_locked(path_));
  std::atomic<bool> released = false;
  std::thread other([&] {
    const auto lock = try_lock_file(path_);
    EXPECT_TRUE(lock && *lock);
    EXPECT_TRUE(released);
  });
  while (!*is_file_locked(path_)) std::this_thread::yield();  // it has it, and waits
  released = true;
  kept->reset();
  other.join();
}

// A file that is removed while others are about to lock it must not give two of them the lock.
TEST_F(LockTest, IsHeldByOneThoughItsFileIsRemoved) {
  std::atomic<bool> held = false;
  std::atomic<int> times = 0;
  const auto contend = [&] {
    for (int i = 0; i < 3000; ++i) {
      auto lock = try_lock_file(path_);
      ASSERT_TRUE(lock);
      if (!*lock) continue;
      EXPECT_FALSE(held.exchange(true));
      ++times;
      held = false;
      ::unlink(path_.c_str());
    }
  };
  std::thread one(contend), two(contend), three(contend);
  for (std::thread* thread : {&one, &two, &three}) thread->join();
  EXPECT_GT(times, 0);
}

TEST_F(LockTest, ItsFileIsRemovedUnlessSomebodyHoldsIt) {
  {
    const auto lock = try_lock_file(path_);
    EXPECT_TRUE(remove_lock_file(path_));
    EXPECT_TRUE(fs::exists(path_));
  }
  EXPECT_TRUE(remove_lock_file(path_));
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_TRUE(remove_lock_file(path_)) << "there is none";
}

}  // namespace
}  // namespace microagent::workspace

#include "workspace/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "workspace/lock.h"
#include "workspace/state.h"
#include "workspace/test_small_disk.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

std::size_t entries(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
}

TEST(WriteAtomically, ReplacesAndProtects) {
  const TestDirectory directory;
  const fs::path path = directory.path() / "file";
  ASSERT_TRUE(write_atomically(path, "one"));
  ASSERT_TRUE(write_atomically(path, "two"));
  EXPECT_EQ(get(path), "two");
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(entries(directory.path()), 1U);
}

TEST(WriteAtomically, TakesOverWhatACrashLeft) {
  const TestDirectory directory;
  put(directory.path() / ".file.new", "half");
  ASSERT_TRUE(write_atomically(directory.path() / "file", "whole"));
  EXPECT_EQ(get(directory.path() / "file"), "whole");
  EXPECT_EQ(entries(directory.path()), 1U);
}

TEST(WriteAtomically, IsNotLedAwayByALink) {
  const TestDirectory directory;
  put(directory.path() / "victim", "precious");
  fs::create_symlink("victim", directory.path() / ".file.new");
  fs::create_symlink("victim", directory.path() / "file");
  ASSERT_TRUE(write_atomically(directory.path() / "file", "new"));
  EXPECT_EQ(get(directory.path() / "victim"), "precious");
  EXPECT_FALSE(fs::is_symlink(directory.path() / "file"));
}

TEST(WriteAtomically, KeepsTheOldFileWhenTheDiskIsFull) {
  const auto outcome = on_small_disk("size=8k", [](const std::string& directory) {
    const fs::path path = fs::path(directory) / "file";
    if (!write_atomically(path, "old")) return 1;
    const Status status = write_atomically(path, std::string(64 * 1024, 'x'));
    if (status) return 2;
    if (status.error().kind != ErrorKind::resource_exhausted) return 3;
    if (get(path) != "old") return 4;
    return entries(directory) == 1 ? 0 : 5;
  });
  if (!outcome) GTEST_SKIP() << "this host does not let us mount";
  EXPECT_EQ(*outcome, 0);
}

TEST(WriteAtomically, NamesTheFileInItsError) {
  const Status status = write_atomically("/nonexistent/file", "x");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("/nonexistent/.file.new"));
}

TEST(AppendLine, AddsLines) {
  const TestDirectory directory;
  const fs::path path = directory.path() / "log";
  ASSERT_TRUE(append_line(path, "one"));
  ASSERT_TRUE(append_line(path, "two"));
  EXPECT_EQ(get(path), "one\ntwo\n");
  EXPECT_EQ(mode_of(path), 0600U);
}

TEST(AppendLine, CutsOffATornLine) {
  const TestDirectory directory;
  const fs::path path = directory.path() / "log";
  put(path, "one\n" + std::string(10'000, 'x'));
  ASSERT_TRUE(append_line(path, "two"));
  EXPECT_EQ(get(path), "one\ntwo\n");
  put(path, "torn");
  ASSERT_TRUE(append_line(path, "one"));
  EXPECT_EQ(get(path), "one\n");
}

TEST(AppendLine, LeavesNoPartOnAFullDisk) {
  const auto outcome = on_small_disk("size=4k", [](const std::string& directory) {
    const fs::path path = fs::path(directory) / "log";
    if (!append_line(path, "one")) return 1;
    if (append_line(path, std::string(64 * 1024, 'x'))) return 2;
    return get(path) == "one\n" ? 0 : 3;
  });
  if (!outcome) GTEST_SKIP() << "this host does not let us mount";
  EXPECT_EQ(*outcome, 0);
}

TEST(ReadFile, HasALimit) {
  const TestDirectory directory;
  const fs::path path = directory.path() / "file";
  put(path, std::string(100'000, 'x'));
  EXPECT_EQ(read_file(path, 100'000)->size(), 100'000U);
  EXPECT_THAT(read_file(path, 99'999).error().message, HasSubstr("is larger than 99999 bytes"));
}

TEST(ReadFile, RefusesWhatIsNoFile) {
  const TestDirectory directory;
  ASSERT_EQ(::mkfifo((directory.path() / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(read_file(directory.path() / "pipe", 10));
  EXPECT_FALSE(read_file(directory.path(), 10));
  EXPECT_EQ(read_file(directory.path() / "none", 10).error().kind, ErrorKind::not_found);
}

TEST(LockFile, IsHeldByOneAndAskedWithoutTaking) {
  const TestDirectory directory;
  const fs::path path = directory.path() / "lock";
  EXPECT_FALSE(*is_file_locked(path));
  auto held = try_lock_file(path);
  ASSERT_TRUE(held && *held);
  EXPECT_TRUE(*is_file_locked(path));
  EXPECT_TRUE(*is_file_locked(path));
  const auto second = try_lock_file(path);
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  held->reset();
  EXPECT_FALSE(*is_file_locked(path));
  EXPECT_TRUE(*try_lock_file(path));
}

TEST(LockFile, EndsWithItsHolder) {
  const TestDirectory directory;
  const fs::path path = directory.path() / "lock";
  int ready[2], leave[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(leave), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = try_lock_file(path);
    char byte = 0;
    ::close(leave[1]);
    if (::write(ready[1], "x", 1) == 1) (void)!::read(leave[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(*is_file_locked(path));
  EXPECT_FALSE(*try_lock_file(path));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(*try_lock_file(path));
  for (const int fd : {ready[0], ready[1], leave[0], leave[1]}) ::close(fd);
}

}  // namespace
}  // namespace microagent::workspace

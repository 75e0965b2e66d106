#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "workspace/state.h"
#include "workspace/test_small_disk.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Manifest named(const char* name) {
  Manifest manifest;
  manifest.name = name;
  manifest.created_at = "2026-06-27T09:00:00Z";
  return manifest;
}

bool has_entries(const fs::path& directory) { return fs::directory_iterator(directory) != fs::directory_iterator(); }

class StoreTest : public testing::Test {
 protected:
  TestDirectory directory_;
  Store store_ = std::move(*Store::open(directory_.path() / "state"));
  fs::path file(const char* name) const { return store_.directory("web") / name; }
};

TEST_F(StoreTest, CreatesAndLoads) {
  ASSERT_TRUE(store_.create(named("web")));
  ASSERT_TRUE(store_.create(named("a")));
  EXPECT_TRUE(store_.exists("web"));
  EXPECT_THAT(*store_.list(), ElementsAre("a", "web"));
  EXPECT_EQ(store_.load_manifest("web")->name, "web");
  EXPECT_EQ(store_.load_runtime("web")->state, State::prepared);
  const auto events = store_.load_events("web");
  ASSERT_TRUE(events && events->size() == 1);
  EXPECT_EQ(events->front().state, State::prepared);
}

TEST_F(StoreTest, KeepsEverythingToItsOwner) {
  ASSERT_TRUE(store_.create(named("web")));
  for (const auto& entry : fs::recursive_directory_iterator(directory_.path())) {
    struct stat status {};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, entry.is_directory() ? 0700U : 0600U) << entry.path();
  }
}

TEST_F(StoreTest, RefusesASecondOfTheName) {
  ASSERT_TRUE(store_.create(named("web")));
  const Status again = store_.create(named("web"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::conflict);
}

TEST_F(StoreTest, RefusesNamesThatLeadElsewhere) {
  for (const char* name : {"../web", "a/b", "", ".", "..", ".web.new"}) {
    EXPECT_EQ(store_.create(named(name)).error().kind, ErrorKind::usage);
    EXPECT_EQ(store_.load_manifest(name).error().kind, ErrorKind::usage);
    EXPECT_EQ(store_.remove(name).error().kind, ErrorKind::usage);
    EXPECT_FALSE(store_.exists(name));
  }
  EXPECT_FALSE(has_entries(store_.root() / "workspaces"));
}

TEST_F(StoreTest, SaysWhatToDoAboutATakenName) {
  ASSERT_TRUE(store_.create(named("web")));
  EXPECT_EQ(store_.create(named("web")).error().remediation, "choose another name, or `microagent delete web` first");
  const auto running = store_.try_lock("web");
  const Error error = store_.create(named("web")).error();
  EXPECT_EQ(error.kind, ErrorKind::conflict);
  EXPECT_EQ(error.message, "there is a workspace \"web\" already, and it is in use");
  EXPECT_EQ(error.remediation, "choose another name, or `microagent delete --force web` first");
}

TEST_F(StoreTest, RemovesAndForgets) {
  ASSERT_TRUE(store_.create(named("web")));
  ASSERT_TRUE(store_.remove("web"));
  EXPECT_FALSE(store_.exists("web"));
  EXPECT_THAT(*store_.list(), IsEmpty());
  EXPECT_EQ(store_.remove("web").error().kind, ErrorKind::not_found);
  EXPECT_EQ(store_.load_manifest("web").error().kind, ErrorKind::not_found);
  EXPECT_FALSE(has_entries(store_.root() / "workspaces"));
}

TEST_F(StoreTest, LocksStandBetweenCommands) {
  ASSERT_TRUE(store_.create(named("web")));
  EXPECT_FALSE(*store_.locked("web"));
  {
    const auto lock = store_.try_lock("web");
    ASSERT_TRUE(lock);
    EXPECT_TRUE(*store_.locked("web"));
    EXPECT_EQ(store_.try_lock("web").error().kind, ErrorKind::conflict);
    EXPECT_EQ(store_.remove("web").error().kind, ErrorKind::conflict);
    EXPECT_EQ(store_.create(named("web")).error().kind, ErrorKind::conflict);
  }
  EXPECT_FALSE(*store_.locked("web"));
  EXPECT_TRUE(store_.remove("web"));
}

TEST_F(StoreTest, ALinkIsNoWorkspaceToFollow) {
  const fs::path elsewhere = directory_.path() / "elsewhere";
  fs::create_directory(elsewhere);
  put(elsewhere / "precious", "x");
  fs::create_directory_symlink(elsewhere, store_.directory("web"));
  EXPECT_EQ(store_.create(named("web")).error().kind, ErrorKind::conflict);
  ASSERT_TRUE(store_.remove("web"));
  EXPECT_TRUE(fs::exists(elsewhere / "precious"));
}

TEST_F(StoreTest, TakesOverWhatACrashLeft) {
  fs::create_directory(store_.root() / "workspaces" / ".web.new");
  fs::create_directory(store_.root() / "workspaces" / ".web.old");
  EXPECT_THAT(*store_.list(), IsEmpty());
  ASSERT_TRUE(store_.create(named("web")));
  ASSERT_TRUE(store_.remove("web"));
  EXPECT_FALSE(has_entries(store_.root() / "workspaces"));
}

TEST_F(StoreTest, NamesAHalfWrittenFile) {
  ASSERT_TRUE(store_.create(named("web")));
  const std::string whole = get(file("workspace.json"));
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
    put(file("workspace.json"), whole.substr(0, size));
    const auto manifest = store_.load_manifest("web");
    ASSERT_FALSE(manifest) << size;
    EXPECT_EQ(manifest.error().kind, ErrorKind::permanent);
    EXPECT_THAT(manifest.error().message, HasSubstr(file("workspace.json").string()));
  }
  EXPECT_TRUE(store_.remove("web"));
}

TEST_F(StoreTest, NamesAMissingOrForeignFile) {
  ASSERT_TRUE(store_.create(named("web")));
  put(file("workspace.json"),
      "\x7f"
      "ELF");
  EXPECT_THAT(store_.load_manifest("web").error().message, HasSubstr("is not whole JSON"));
  fs::remove(file("workspace.json"));
  EXPECT_THAT(store_.load_manifest("web").error().message, HasSubstr("workspace.json: is missing"));
  fs::create_directory(file("workspace.json"));
  EXPECT_THAT(store_.load_manifest("web").error().message, HasSubstr("is not a regular file"));
}

TEST_F(StoreTest, NoticesARenamedWorkspace) {
  ASSERT_TRUE(store_.create(named("web")));
  fs::rename(store_.directory("web"), store_.directory("other"));
  EXPECT_THAT(store_.load_manifest("other").error().message, HasSubstr("belongs to a workspace \"web\""));
}

// Every operation of a create that takes an inode or a block fails once.
TEST(FullDisk, LeavesNothingHalfCreated) {
  bool created = false;
  for (int inodes = 2; !created; ++inodes) {
    ASSERT_LT(inodes, 30);
    const auto outcome = on_small_disk(fmt::format("nr_inodes={}", inodes), [](const std::string& directory) {
      const auto store = Store::open(directory);
      if (!store) return store.error().kind == ErrorKind::resource_exhausted ? 1 : 10;
      const Status status = store->create(named("web"));
      if (status) return 0;
      if (status.error().kind != ErrorKind::resource_exhausted) return 11;
      return has_entries(store->root() / "workspaces") || store->exists("web") ? 12 : 1;
    });
    if (!outcome) GTEST_SKIP() << "this host does not let us mount";
    ASSERT_LE(*outcome, 1) << inodes;
    created = *outcome == 0;
  }
}

TEST(FullDisk, IsToldWhenBlocksRunOut) {
  const auto outcome = on_small_disk("size=4k", [](const std::string& directory) {
    const auto store = Store::open(directory);
    if (!store) return 3;
    const Status status = store->create(named("web"));
    if (status || status.error().kind != ErrorKind::resource_exhausted) return 1;
    return has_entries(store->root() / "workspaces") ? 2 : 0;
  });
  if (!outcome) GTEST_SKIP() << "this host does not let us mount";
  EXPECT_EQ(*outcome, 0);
}

TEST(StateRoot, PrefersTheFlagThenTheVariable) {
  ASSERT_EQ(::setenv("MICROAGENT_HOME", "/m", 1), 0);
  EXPECT_EQ(*state_root("/a/b/"), "/a/b");
  EXPECT_EQ(*state_root(std::nullopt), "/m");
  EXPECT_EQ(state_root("").error().kind, ErrorKind::usage);
  ASSERT_EQ(::unsetenv("MICROAGENT_HOME"), 0);
  ASSERT_EQ(::setenv("HOME", "/home/u", 1), 0);
  EXPECT_EQ(*state_root(std::nullopt), "/home/u/.microagent");
}

TEST(StateRoot, IsRefusedWhereOthersMayWrite) {
  const TestDirectory directory;
  ASSERT_EQ(::chmod(directory.path().c_str(), 0770), 0);
  const auto store = Store::open(directory.path());
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, HasSubstr("other users may write"));
}

TEST(StateRoot, IsRefusedWhereItIsNoDirectory) {
  const TestDirectory directory;
  put(directory.path() / "file", "x");
  EXPECT_FALSE(Store::open(directory.path() / "file"));
  EXPECT_FALSE(Store::open(directory.path() / "file" / "below"));
}

TEST_F(StoreTest, FindsAndRemovesWhatAKilledCommandLeft) {
  ASSERT_TRUE(store_.create(named("web")));
  const fs::path workspaces = store_.root() / "workspaces";
  for (const char* name : {".half.new", ".gone.old", ".web.old", ".other", ".UPPER.new", ".new"}) {
    fs::create_directories(workspaces / name / "inside");
  }
  EXPECT_THAT(*store_.leftovers(),
              ElementsAre(workspaces / ".gone.old", workspaces / ".half.new", workspaces / ".web.old"));
  {
    const auto at_work = store_.try_lock("half");
    ASSERT_TRUE(at_work);
    const Status refused = store_.remove_leftover(workspaces / ".half.new");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  }
  const auto leftovers = store_.leftovers();
  ASSERT_TRUE(leftovers);
  for (const fs::path& path : *leftovers) EXPECT_TRUE(store_.remove_leftover(path)) << path;
  EXPECT_THAT(*store_.leftovers(), IsEmpty());
  EXPECT_FALSE(store_.remove_leftover(workspaces / ".other"));
  EXPECT_FALSE(store_.remove_leftover(workspaces / "web"));
  EXPECT_TRUE(store_.exists("web"));
}

TEST_F(StoreTest, IsSupervisedByOneOnly) {
  EXPECT_FALSE(*store_.supervised("web"));
  const auto lock = store_.lock_supervision("web");
  ASSERT_TRUE(lock);
  EXPECT_TRUE(*store_.supervised("web"));
  EXPECT_EQ(store_.lock_supervision("web").error().kind, ErrorKind::conflict);
  EXPECT_FALSE(store_.lock_supervision("../web"));
}

TEST_F(StoreTest, NoLockOutlivesItsWorkspace) {
  ASSERT_TRUE(store_.create(named("web")));
  ASSERT_TRUE(store_.lock_changes("web"));
  ASSERT_TRUE(store_.lock_supervision("web"));
  EXPECT_TRUE(has_entries(store_.root() / "locks"));
  ASSERT_TRUE(store_.remove("web"));
  EXPECT_FALSE(has_entries(store_.root() / "locks"));
}

TEST_F(StoreTest, NothingNewBeginsUnderANameThatIsStillSupervised) {
  ASSERT_TRUE(store_.create(named("web")));
  {
    const auto supervision = store_.lock_supervision("web");
    ASSERT_TRUE(store_.remove("web"));
    const Status again = store_.create(named("web"));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::conflict);
    EXPECT_THAT(again.error().message, HasSubstr("supervise"));
    EXPECT_FALSE(store_.exists("web"));
  }
  EXPECT_TRUE(store_.create(named("web")));
}

TEST_F(StoreTest, RemembersThatAnEndIsWanted) {
  EXPECT_FALSE(store_.request_end("web")) << "there is no such workspace";
  EXPECT_FALSE(*store_.end_requested("web"));
  EXPECT_TRUE(store_.forget_end_request("web"));
  ASSERT_TRUE(store_.create(named("web")));
  for (int times = 0; times < 2; ++times) EXPECT_TRUE(store_.request_end("web"));
  EXPECT_TRUE(*store_.end_requested("web"));
  EXPECT_TRUE(store_.forget_end_request("web"));
  EXPECT_FALSE(*store_.end_requested("web"));
}

// What was looked at may have become another by the time that the lock is held.
TEST_F(StoreTest, RemovesOnlyWhatIsStillToGo) {
  ASSERT_TRUE(store_.create(named("web")));
  const Status kept = store_.remove("web", [this] {
    EXPECT_FALSE(store_.try_lock("web")) << "asked under the lock";
    return false;
  });
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().kind, ErrorKind::conflict);
  EXPECT_TRUE(store_.exists("web"));
  EXPECT_TRUE(store_.remove("web", [] { return true; }));
  EXPECT_FALSE(store_.exists("web"));
}

}  // namespace
}  // namespace microagent::workspace

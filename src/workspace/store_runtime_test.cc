#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "base/boot_id.h"
#include "workspace/forward.h"
#include "workspace/state.h"
#include "workspace/test_directory.h"
#include "workspace/test_small_disk.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RuntimeTest : public testing::Test {
 protected:
  RuntimeTest() {
    Manifest manifest;
    manifest.name = "web";
    manifest.created_at = "2026-06-27T09:00:00Z";
    EXPECT_TRUE(store_.create(manifest));
  }

  Runtime record(State state) {
    Runtime runtime;
    runtime.state = state;
    runtime.supervisor_pid = 17;
    runtime.pids = {{"qemu", 18}};
    runtime.readiness["guestReady"] = {true, "2026-06-27T09:01:00Z", {}, {}};
    runtime.forwards = {parse_publish("8080:80")->front()};
    runtime.network = EffectiveNetwork{};
    EXPECT_TRUE(store_.save_runtime("web", runtime));
    return runtime;
  }

  void leave_socket() {
    const fs::path path = store_.directory("web") / "control.sock";
    sockaddr_un address{AF_UNIX, {}};
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    const Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }

  TestDirectory directory_;
  Store store_ = std::move(*Store::open(directory_.path()));
};

TEST_F(RuntimeTest, ADeadSupervisorIsNoticedOnce) {
  for (const State state : {State::starting, State::running, State::stopping}) {
    record(state);
    leave_socket();
    const std::size_t before = store_.load_events("web")->size();
    const auto settled = store_.load_settled_runtime("web");
    ASSERT_TRUE(settled) << settled.error().message;
    EXPECT_EQ(settled->state, State::failed);
    EXPECT_EQ(settled->detail, "the supervisor died");
    EXPECT_TRUE(settled->pids.empty());
    EXPECT_TRUE(settled->forwards.empty());
    EXPECT_FALSE(settled->network);
    EXPECT_FALSE(settled->readiness.at("guestReady").ready);
    EXPECT_FALSE(fs::exists(store_.directory("web") / "control.sock"));
    EXPECT_EQ(store_.load_runtime("web")->state, State::failed);
    EXPECT_EQ(store_.load_settled_runtime("web")->state, State::failed);
    EXPECT_EQ(store_.load_events("web")->size(), before + 1);
  }
}

// A supervisor that is started beside `list` or `status` gets its lock, whatever these have to put right first.
TEST_F(RuntimeTest, WhoSettlesARecordIsInNobodysWay) {
  for (int round = 0; round < 20; ++round) {
    record(State::running);
    std::atomic<bool> settled = false;
    std::thread other([&] {
      EXPECT_TRUE(store_.load_settled_runtime("web"));
      settled = true;
    });
    do {
      const auto lock = store_.try_lock("web");
      EXPECT_TRUE(lock) << lock.error().message;
    } while (!settled);
    other.join();
  }
}

TEST_F(RuntimeTest, NothingBecomesOfAWorkspaceWhoseCopyIsLost) {
  Runtime copying = record(State::running);
  Runtime before;
  before.state = State::stopped;
  before.observed_at = "2026-06-27T09:05:00Z";
  before.reason = kReasonRequest;
  copying.before = std::make_shared<const Runtime>(before);
  ASSERT_TRUE(store_.save_runtime("web", copying));
  ASSERT_TRUE(store_.load_runtime("web")->for_a_copy());
  const auto settled = store_.load_settled_runtime("web");
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(to_json(*settled), to_json(before));
  EXPECT_EQ(to_json(*store_.load_runtime("web")), to_json(before));
  EXPECT_EQ(store_.load_events("web")->back().reason, kReasonLost) << "the history tells of it";
}

TEST_F(RuntimeTest, ARecordIsSettledByOneOfMany) {
  record(State::running);
  const std::size_t before = store_.load_events("web")->size();
  std::vector<std::thread> others;
  for (int i = 0; i < 8; ++i) {
    others.emplace_back([&] { EXPECT_EQ(store_.load_settled_runtime("web")->state, State::failed); });
  }
  for (std::thread& other : others) other.join();
  EXPECT_EQ(store_.load_events("web")->size(), before + 1);
}

TEST_F(RuntimeTest, AHistoryIsBounded) {
  const fs::path path = store_.directory("web") / "events.jsonl";
  const Event event{State::failed, std::string(1000, 'x'), "2026-06-27T09:05:00Z", kReasonLost};
  const std::string line = to_json(event).dump() + "\n";
  const auto fill = [&](std::size_t size) {
    std::ofstream file(path, std::ios::app);
    for (std::size_t written = 0; written < size; written += line.size()) file << line;
  };
  for (int round = 0; round < 3; ++round) {
    fill(std::size_t{4} << 20);
    ASSERT_TRUE(store_.append_event("web", {State::starting, {}, "2026-06-27T09:06:00Z"}));
    EXPECT_EQ(fs::file_size(path), to_json(Event{State::starting, {}, "2026-06-27T09:06:00Z"}).dump().size() + 1);
  }
  std::uintmax_t kept = 0;
  for (const auto& entry : fs::directory_iterator(store_.directory("web"))) kept += entry.file_size();
  EXPECT_LT(kept, std::uintmax_t{9} << 20);
  const auto events = store_.load_events("web");
  ASSERT_TRUE(events) << events.error().message;
  EXPECT_GT(events->size(), 3000U);
  EXPECT_EQ(events->back().state, State::starting);
  EXPECT_EQ(events->at(events->size() - 2).state, State::failed) << "the end of the life before is not lost";
}

TEST_F(RuntimeTest, TheHostSEndIsNoticed) {
  Runtime runtime = record(State::running);
  runtime.boot_id = "another life of the host";
  ASSERT_TRUE(store_.save_runtime("web", runtime));
  leave_socket();
  const auto settled = store_.load_settled_runtime("web");
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settled->detail, "the host went down");
  EXPECT_EQ(settled->reason, kReasonLost);
  EXPECT_EQ(store_.load_events("web")->back().reason, kReasonLost);
  EXPECT_FALSE(fs::exists(store_.directory("web") / "control.sock"));

  runtime.boot_id = host_boot_id();
  ASSERT_NE(runtime.boot_id, "");
  ASSERT_TRUE(store_.save_runtime("web", runtime));
  EXPECT_EQ(store_.load_settled_runtime("web")->detail, "the supervisor died");
}

// Leaves not one byte.
void fill_up(const std::string& path) {
  const std::string block(4096, 'x');
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  while (::write(file.get(), block.data(), block.size()) > 0) {
  }
}

// Which check does not hold; 0: all do. The event alone would have had room, in what its file has of its last page.
int settle_on_full_disk(const std::string& directory) {
  const auto store = Store::open(directory);
  Manifest manifest;
  manifest.name = "web";
  Runtime runtime;
  runtime.state = State::running;
  if (!store || !store->create(manifest) || !store->save_runtime("web", runtime)) return 1;
  const std::string ballast = directory + "/ballast";
  fill_up(ballast);
  for (int look = 0; look < 2; ++look) {
    const auto settled = store->load_settled_runtime("web");
    if (!settled || settled->state != State::failed || settled->reason != kReasonLost) return 2;
    if (!settled->pending || settled->pending->detail != settled->detail) return 3;
    if (store->load_runtime("web")->state != State::running || store->load_events("web")->size() != 1) return 4;
  }
  fs::remove(ballast);
  const auto settled = store->load_settled_runtime("web");
  if (!settled || settled->state != State::failed || settled->pending) return 5;
  if (store->load_runtime("web")->state != State::failed || store->load_events("web")->size() != 2) return 6;
  return 0;
}

TEST(RuntimeOnAFullDisk, IsToldWhereItCannotBeRecorded) {
  const auto outcome = on_small_disk("size=64k", settle_on_full_disk);
  if (!outcome) GTEST_SKIP() << "this host does not let us mount";
  EXPECT_EQ(*outcome, 0);
}

TEST_F(RuntimeTest, ALivingSupervisorIsLeftAlone) {
  record(State::running);
  leave_socket();
  const auto lock = store_.try_lock("web");
  EXPECT_EQ(store_.load_settled_runtime("web")->state, State::running);
  EXPECT_TRUE(fs::exists(store_.directory("web") / "control.sock"));
}

TEST_F(RuntimeTest, AnEndedWorkspaceStaysAsItEnded) {
  for (const State state : {State::prepared, State::stopped, State::halted, State::failed}) {
    record(state);
    EXPECT_EQ(store_.load_settled_runtime("web")->state, state);
  }
  EXPECT_EQ(store_.load_events("web")->size(), 1U);
}

TEST_F(RuntimeTest, NamesAHalfWrittenRecord) {
  record(State::running);
  const fs::path path = store_.directory("web") / "runtime.json";
  const std::string whole = get(path);
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
    put(path, whole.substr(0, size));
    const auto runtime = store_.load_settled_runtime("web");
    ASSERT_FALSE(runtime) << size;
    EXPECT_THAT(runtime.error().message, HasSubstr(path.string()));
  }
  EXPECT_EQ(get(path).size(), whole.size() - 2);
}

TEST_F(RuntimeTest, AnEventThatWasNotWrittenWholeDidNotHappen) {
  const fs::path path = store_.directory("web") / "events.jsonl";
  ASSERT_TRUE(store_.append_event("web", {State::starting, {}, "2026-06-27T09:01:00Z"}));
  const std::string whole = get(path);
  put(path, whole + R"({"state":"run)");
  EXPECT_EQ(store_.load_events("web")->size(), 2U);
  ASSERT_TRUE(store_.append_event("web", {State::failed, "why", "2026-06-27T09:02:00Z"}));
  const auto events = store_.load_events("web");
  ASSERT_EQ(events->size(), 3U);
  EXPECT_EQ(events->back().detail, "why");
}

TEST_F(RuntimeTest, NamesTheLineOfAForeignEvent) {
  const fs::path path = store_.directory("web") / "events.jsonl";
  put(path, get(path) + "garbage\n");
  EXPECT_THAT(store_.load_events("web").error().message, HasSubstr("events.jsonl:2: is not whole JSON"));
}

TEST_F(RuntimeTest, WordsThatAreNoTextAreKeptReadable) {
  ASSERT_TRUE(store_.append_event("web", {State::failed, "\xff\n\x01", "2026-06-27T09:01:00Z"}));
  EXPECT_EQ(store_.load_events("web")->size(), 2U);
}

}  // namespace
}  // namespace microagent::workspace

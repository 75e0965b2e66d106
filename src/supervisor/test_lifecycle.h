#pragma once

// The real supervisor program, started and ended through the client, with make-believe netd, mediator and QEMU.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "supervisor/client.h"
#include "supervisor/ports.h"
#include "supervisor/sockets.h"

namespace microagent::supervisor {

namespace fs = std::filesystem;
using std::chrono::seconds;
using testing::HasSubstr;
using workspace::State;

inline std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> chunk{};
  for (;;) {
    pollfd wanted{fd, POLLIN, 0};
    if (::poll(&wanted, 1, 5000) != 1) return text + "(nothing more came)";
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count <= 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

class Lifecycle : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("MICROAGENT_QEMU", FAKE_QEMU, 1);
    fs::create_directories(root_ / "guest");
    std::ofstream(root_ / "guest" / "vmlinuz") << "kernel";
    std::ofstream(root_ / "guest" / "initramfs") << "base";
    auto store = workspace::Store::open(root_);
    ASSERT_TRUE(store);
    store_ = std::make_unique<workspace::Store>(std::move(*store));
    manifest_.name = kName;
    manifest_.created_at = "2026-01-01T00:00:00Z";
  }
  void TearDown() override {
    static_cast<void>(kill(*store_, kName));
    fs::remove_all(top_);
  }

  // Writes the workspace down and starts it.
  Result<workspace::Runtime> begin(const std::string& script = {}) {
    if (!store_->exists(kName)) EXPECT_TRUE(store_->create(manifest_));
    if (!script.empty()) std::ofstream(directory() / "script") << script;
    return start(
        *store_, kName, ready_timeout_, [this](std::string_view line) { progress_.emplace_back(line); }, variables_);
  }
  fs::path directory() const { return store_->directory(kName); }
  workspace::Runtime record() const { return store_->load_runtime(kName).value(); }

  static std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // What is left in the workspace's directory that only a living one has.
  std::vector<std::string> remains() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory())) {
      const std::string name = entry.path().filename();
      if (name.ends_with(".sock") || name.starts_with("initrd")) found.push_back(name);
    }
    return found;
  }
  static bool alive(int pid) { return ::kill(pid, 0) == 0; }

  // Waits until the workspace has left `state`.
  workspace::Runtime await_other_than(State state) const {
    for (int i = 0; i < 500 && record().state == state; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return record();
  }
  void await_free_lock() const {
    for (int i = 0; i < 500 && store_->locked(kName).value(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_FALSE(store_->locked(kName).value());
  }

  void expect_nothing_left(const workspace::Runtime& running) const {
    await_free_lock();
    EXPECT_THAT(remains(), testing::IsEmpty());
    for (const auto& [name, pid] : running.pids) EXPECT_FALSE(alive(pid)) << name;
    const workspace::Runtime ended = record();
    EXPECT_FALSE(ended.network) << "no guest has it";
    EXPECT_THAT(ended.forwards, testing::IsEmpty()) << "nobody serves them";
  }

  static constexpr const char* kName = "web";
  const fs::path top_ = fs::path(testing::TempDir()) / ("lifecycle_test." + std::to_string(::getpid()));
  // Longer than the name of a Unix socket may be.
  const fs::path root_ = top_ / std::string(120, 'd');
  std::unique_ptr<workspace::Store> store_;
  workspace::Manifest manifest_;
  seconds ready_timeout_{20};
  std::vector<std::string> progress_;
  SwapVariables variables_;
};

}  // namespace microagent::supervisor

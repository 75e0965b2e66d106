#pragma once

// A state directory for the tests of this folder, and a disk that is full.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace microagent::mediator {

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = testing::TempDir() + "mediator-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  std::filesystem::path audit_file() const { return path_ / "egress.jsonl"; }

  std::vector<nlohmann::json> records() const {
    std::vector<nlohmann::json> all;
    std::ifstream lines(audit_file());
    for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }

 private:
  std::filesystem::path path_;
};

// While it lives no file can grow beyond the size `file` has now.
class FullDisk {
 public:
  explicit FullDisk(const std::filesystem::path& file) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &old_), 0);
    const rlimit full{std::filesystem::file_size(file), old_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  }
  ~FullDisk() {
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &old_), 0);
    std::signal(SIGXFSZ, old_handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

}  // namespace microagent::mediator

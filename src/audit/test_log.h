#pragma once

// A log in a directory of its own, for the tests of this folder.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "audit/writer.h"

namespace microagent::audit {

class TestLog {
 public:
  TestLog() {
    std::string pattern = testing::TempDir() + "audit-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~TestLog() { std::filesystem::remove_all(directory_); }

  std::filesystem::path path() const { return directory_ / "egress.jsonl"; }
  std::filesystem::path torn_path() const { return directory_ / "egress.jsonl.torn"; }

  Result<Writer> open(Rotation rotation = {}) const {
    return Writer::open(
        path(), "web", [] { return std::string("2026-06-27T09:01:02.000000000Z"); }, rotation);
  }

  static std::string read(const std::filesystem::path& file) {
    std::ostringstream content;
    content << std::ifstream(file).rdbuf();
    return content.str();
  }
  std::string content() const { return read(path()); }
  void replace(const std::string& content) const { std::ofstream(path(), std::ios::trunc) << content; }

  std::vector<nlohmann::json> records() const {
    std::vector<nlohmann::json> all;
    std::istringstream lines(content());
    for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }

 private:
  std::filesystem::path directory_;
};

}  // namespace microagent::audit

#include "image/cpio.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

namespace microagent::image {
namespace {

// What a shell command prints.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
  std::string output;
  std::array<char, 4096> chunk{};
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), pipe.get())) {
    output.append(chunk.data(), count);
  }
  return output;
}

class Cpio : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string unpack(const std::string& archive, const std::string& arguments) const {
    std::ofstream(directory_ / "archive", std::ios::binary) << archive;
    return output_of("cd " + directory_.string() + " && cpio --quiet " + arguments + " < archive 2>&1");
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) / ("cpio_test." + std::to_string(::getpid()));
};

TEST_F(Cpio, IsListedByCpio) {
  const std::array<CpioEntry, 3> entries{{{"microagent", S_IFDIR | 0755, ""},
                                          {"microagent/config", S_IFREG | 0600, "hostname=web\n"},
                                          {"microagent/empty", S_IFREG | 0644, ""}}};
  EXPECT_EQ(unpack(encode_cpio(entries), "-t"), "microagent\nmicroagent/config\nmicroagent/empty\n");
}

TEST_F(Cpio, UnpacksToTheSameBytesAndModes) {
  // Every remainder of the padding, and bytes that are no text.
  std::vector<CpioEntry> entries;
  for (std::size_t size = 0; size < 9; ++size) {
    entries.push_back({"file" + std::string(size, 'x'), S_IFREG | 0640, std::string(size, '\xff')});
  }
  EXPECT_EQ(unpack(encode_cpio(entries), "-i --no-preserve-owner"), "");
  for (const CpioEntry& entry : entries) {
    std::ifstream file(directory_ / entry.path, std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), entry.content) << entry.path;
    struct stat status {};
    ASSERT_EQ(::stat((directory_ / entry.path).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, entry.mode) << entry.path;
  }
}

TEST_F(Cpio, IsAlignedEvenWhenEmpty) {
  EXPECT_EQ(encode_cpio({}).size() % 4, 0U);
  EXPECT_EQ(unpack(encode_cpio({}), "-t"), "");
}

}  // namespace
}  // namespace microagent::image

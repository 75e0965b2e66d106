#include "image/initrd.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

class WriteInitrd : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  static std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const fs::path directory_ = fs::path(testing::TempDir()) / ("initrd_test." + std::to_string(::getpid()));
  const fs::path base_ = directory_ / "initramfs";
  const fs::path initrd_ = directory_ / "initrd";
  const std::array<CpioEntry, 1> entries_{{{"microagent/config", S_IFREG | 0600, "hostname=web\n"}}};
};

TEST_F(WriteInitrd, AppendsAnAlignedArchiveToTheBase) {
  for (std::size_t size = 1; size < 6; ++size) {
    const std::string base(size, 'b');
    std::ofstream(base_, std::ios::binary) << base;
    ASSERT_TRUE(write_initrd(base_, entries_, initrd_));
    const std::string written = read(initrd_);
    const std::string archive = encode_cpio(entries_);
    ASSERT_GE(written.size(), base.size() + archive.size());
    EXPECT_EQ(written.substr(0, size), base);
    EXPECT_EQ(written.substr(written.size() - archive.size()), archive);
    EXPECT_EQ((written.size() - archive.size()) % 4, 0U);
    EXPECT_LT(written.size() - archive.size() - size, 4U);
  }
}

TEST_F(WriteInitrd, KeepsTheFileToItsOwner) {
  std::ofstream(base_) << "base";
  ASSERT_TRUE(write_initrd(base_, entries_, initrd_));
  struct stat status {};
  ASSERT_EQ(::stat(initrd_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(WriteInitrd, LeavesNothingHalfWritten) {
  std::ofstream(initrd_) << "the previous one";
  EXPECT_FALSE(write_initrd(directory_ / "absent", entries_, initrd_));
  EXPECT_EQ(read(initrd_), "the previous one");

  // A file size limit fails in the middle of a write, as a full disk does.
  std::ofstream(base_) << std::string(100'000, 'b');
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{50'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status written = write_initrd(base_, entries_, initrd_);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(written);
  EXPECT_EQ(read(initrd_), "the previous one");
  EXPECT_FALSE(fs::exists(initrd_.string() + ".new"));
}

}  // namespace
}  // namespace microagent::image

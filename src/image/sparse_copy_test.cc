#include "image/sparse_copy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/fd.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

constexpr off_t kSize = 64 * 1024 * 1024;

class SparseCopy : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override {
    fs::remove_all(directory_);
    fs::remove(elsewhere_);
  }

  // Data at the beginning, in the middle and at the end, longer than a piece.
  static void write_holey(const fs::path& path) {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    const std::string data(3'000'000, 'd');
    ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
    for (const off_t place : {off_t{0}, kSize / 2, kSize - off_t{3'000'000}}) {
      ASSERT_EQ(::pwrite(file.get(), data.data(), data.size(), place), static_cast<ssize_t>(data.size()));
    }
  }
  static std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static struct stat facts_of(const fs::path& path) {
    struct stat facts {};
    EXPECT_EQ(::stat(path.c_str(), &facts), 0) << path;
    return facts;
  }
  static void expect_copy(const fs::path& from, const fs::path& to) {
    const Status copied = copy_sparse(from, to);
    ASSERT_TRUE(copied) << copied.error().message;
    EXPECT_TRUE(content_of(to) == content_of(from));
    EXPECT_EQ(facts_of(to).st_mode & 0777U, 0400U);
    EXPECT_LT(facts_of(to).st_blocks * 512, kSize / 2);
  }

  const std::string own_ = "sparse_copy_test." + std::to_string(::getpid());
  const fs::path directory_ = fs::path(testing::TempDir()) / own_, elsewhere_ = fs::path("/dev/shm") / own_;
};

TEST_F(SparseCopy, KeepsContentAndHoles) {
  write_holey(directory_ / "from");
  expect_copy(directory_ / "from", directory_ / "to");
}

TEST_F(SparseCopy, GoesFromOneFileSystemToAnother) {
  write_holey(elsewhere_);
  ASSERT_NE(facts_of(elsewhere_).st_dev, facts_of(directory_).st_dev);
  expect_copy(elsewhere_, directory_ / "to");
}

TEST_F(SparseCopy, IsWholeOrNotThere) {
  write_holey(directory_ / "from");
  EXPECT_FALSE(copy_sparse(directory_ / "absent", directory_ / "to"));
  EXPECT_FALSE(copy_sparse(directory_ / "from", directory_ / "no" / "to"));
  EXPECT_FALSE(fs::exists(directory_ / "to"));
}

}  // namespace
}  // namespace microagent::image

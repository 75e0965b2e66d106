#include "image/guest_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

class FindGuestFiles : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(directory_); }

  static void put(const fs::path& file, std::string_view content) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  void put_both(const fs::path& place) const {
    put(place / "vmlinuz", "kernel");
    put(place / "initramfs", "image");
  }
  Result<GuestFiles> find() const { return find_guest_files(directory_ / "state", directory_ / "prefix" / "bin"); }

  const fs::path directory_ = fs::path(testing::TempDir()) / ("guest_files_test." + std::to_string(::getpid()));
  const fs::path state_ = directory_ / "state" / "guest";
  const fs::path share_ = directory_ / "prefix" / "share" / "microagent" / "guest";
};

TEST_F(FindGuestFiles, PrefersTheStateDirectory) {
  put_both(state_);
  put_both(share_);
  ASSERT_TRUE(find());
  EXPECT_EQ(find()->kernel, state_ / "vmlinuz");
  EXPECT_EQ(find()->initramfs, state_ / "initramfs");
}

TEST_F(FindGuestFiles, FallsBackToTheInstallation) {
  put(state_ / "vmlinuz", "a kernel without its image");
  put_both(share_);
  ASSERT_TRUE(find());
  EXPECT_EQ(find()->kernel, share_ / "vmlinuz");
}

TEST_F(FindGuestFiles, SaysWhatIsMissingAndHowToMakeIt) {
  put(state_ / "vmlinuz", "kernel");
  const auto found = find();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::not_found);
  EXPECT_NE(found.error().message.find((state_ / "initramfs").string()), std::string::npos);
  EXPECT_NE(found.error().message.find((share_ / "vmlinuz").string()), std::string::npos);
  EXPECT_NE(found.error().remediation.find("make guest"), std::string::npos);
}

TEST_F(FindGuestFiles, RefusesAnEmptyFileAndADirectory) {
  put_both(share_);
  put_both(state_);
  put(state_ / "initramfs", "");
  EXPECT_FALSE(find());
  fs::remove(state_ / "initramfs");
  fs::create_directories(state_ / "initramfs");
  EXPECT_FALSE(find());
}

}  // namespace
}  // namespace microagent::image

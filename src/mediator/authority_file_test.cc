#include "mediator/authority_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>
#include <fstream>
#include <sstream>

#include "mediator/test_directory.h"

namespace microagent::mediator {
namespace {

using testing::HasSubstr;

class AuthorityFile : public testing::Test {
 protected:
  std::string keep() { return keep_authority(file_, "w1").value().fingerprint(); }
  std::string content() const {
    std::stringstream text;
    text << std::ifstream(file_).rdbuf();
    return text.str();
  }
  void overwrite(const std::string& text) { std::ofstream(file_) << text; }
  mode_t mode() const {
    struct stat facts {};
    EXPECT_EQ(::stat(file_.c_str(), &facts), 0);
    return facts.st_mode & 07777;
  }

  TestDirectory directory_;
  const std::filesystem::path file_ = directory_.audit_file().parent_path() / kAuthorityFile;
};

TEST_F(AuthorityFile, IsMadeForItsOwnerAndKept) {
  const std::string first = keep();
  EXPECT_EQ(mode(), 0600);
  EXPECT_THAT(content(), HasSubstr("PRIVATE KEY"));
  EXPECT_EQ(keep(), first);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(file_.parent_path()), {}), 1) << "nothing beside it";
}

TEST_F(AuthorityFile, IsReplacedWhenItCannotBeRead) {
  const std::string first = keep(), text = content();
  for (const std::string& bad : {std::string(), std::string("hello"), text.substr(0, text.size() / 2)}) {
    overwrite(bad);
    EXPECT_NE(keep(), first);
    EXPECT_EQ(keep(), keep()) << "the new one is kept";
  }
  overwrite(std::string(1 << 20, 'x'));
  EXPECT_NE(keep(), first);
}

TEST_F(AuthorityFile, IsReplacedWhenItsTimeIsNearlyOver) {
  const auto old = tls::Authority::make("w1", std::time(nullptr) - 6 * 365 * 24 * 3600).value();
  overwrite(old.pem());
  ASSERT_EQ(::chmod(file_.c_str(), 0600), 0);
  EXPECT_NE(keep(), old.fingerprint());
}

TEST_F(AuthorityFile, IsReplacedWhenOthersMayHaveReadIt) {
  const std::string first = keep();
  ASSERT_EQ(::chmod(file_.c_str(), 0640), 0);
  EXPECT_NE(keep(), first);
  EXPECT_EQ(mode(), 0600);
}

TEST_F(AuthorityFile, IsNotFollowedElsewhere) {
  const auto elsewhere = file_.parent_path() / "elsewhere";
  const auto foreign = tls::Authority::make("w1").value();
  std::ofstream(elsewhere) << foreign.pem();
  ASSERT_EQ(::chmod(elsewhere.c_str(), 0600), 0);
  std::filesystem::create_symlink(elsewhere, file_);
  EXPECT_NE(keep(), foreign.fingerprint());
  EXPECT_FALSE(std::filesystem::is_symlink(file_));
}

TEST_F(AuthorityFile, SurvivesAWriterThatDiedInTheMiddle) {
  std::ofstream(file_.string() + ".new") << "half";
  ASSERT_EQ(::chmod((file_.string() + ".new").c_str(), 0444), 0);
  EXPECT_EQ(keep(), keep());
  EXPECT_EQ(mode(), 0600);
}

TEST_F(AuthorityFile, SaysWhereItCannotBeWritten) {
  const auto nowhere = keep_authority(file_.parent_path() / "nowhere" / kAuthorityFile, "w1");
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, HasSubstr("nowhere"));
}

TEST_F(AuthorityFile, IsForgotten) {
  keep();
  EXPECT_TRUE(forget_authority(file_));
  EXPECT_FALSE(std::filesystem::exists(file_));
  EXPECT_TRUE(forget_authority(file_));
}

}  // namespace
}  // namespace microagent::mediator

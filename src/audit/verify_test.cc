#include "audit/verify.h"

#include "audit/test_log.h"

namespace microagent::audit {
namespace {

class Verify : public testing::Test {
 protected:
  Verify() {
    auto writer = log_.open();
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t flow = writer->new_flow();
      EXPECT_TRUE(writer->write(Event::deny, flow, {{"host", "10.0.0.1"}, {"dst", "10.0.0.1:80"}}));
    }
    std::istringstream lines(log_.content());
    for (std::string line; std::getline(lines, line);) lines_.push_back(line + "\n");
  }

  void rewrite(const std::vector<std::string>& lines) const {
    std::string content;
    for (const std::string& line : lines) content += line;
    log_.replace(content);
  }

  TestLog log_;
  std::vector<std::string> lines_;
};

TEST_F(Verify, AcceptsWhatWasWritten) {
  const auto verified = verify(log_.path());
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->records, 4U);
  EXPECT_EQ(verified->torn_bytes, 0U);
}

TEST_F(Verify, FindsEveryRemovedOrMovedLine) {
  rewrite({lines_[1], lines_[2], lines_[3]});
  EXPECT_FALSE(verify(log_.path()));
  rewrite({lines_[0], lines_[2], lines_[3]});
  EXPECT_FALSE(verify(log_.path()));
  rewrite({lines_[0], lines_[2], lines_[1], lines_[3]});
  EXPECT_FALSE(verify(log_.path()));
  rewrite({lines_[0], lines_[1], lines_[1], lines_[2]});
  EXPECT_FALSE(verify(log_.path()));
}

TEST_F(Verify, FindsEveryChangedByteBeforeTheLastLine) {
  const std::string content = log_.content();
  for (std::size_t i = 0; i + lines_[3].size() < content.size(); ++i) {
    std::string changed = content;
    changed[i] ^= 1;
    log_.replace(changed);
    EXPECT_FALSE(verify(log_.path())) << i;
  }
}

TEST_F(Verify, CountsATornTail) {
  log_.replace(log_.content() + "{\"seq\":5");
  const auto verified = verify(log_.path());
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->records, 4U);
  EXPECT_EQ(verified->torn_bytes, 8U);
}

TEST_F(Verify, NamesAMissingLog) {
  std::filesystem::remove(log_.path());
  const auto verified = verify(log_.path());
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace microagent::audit

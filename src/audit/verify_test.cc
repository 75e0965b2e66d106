#include "audit/verify.h"

#include "audit/chain.h"
#include "audit/log_files.h"
#include "audit/record.h"
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

TEST_F(Verify, RefusesARotationThatTheWriterWouldNotGoOnWith) {
  const std::string line = encode_record({1, "t", Event::rotated, "web", 0, kChainStart}, {{"open", "none"}});
  log_.replace(line + "\n");
  std::filesystem::remove(head_file(log_.path()));
  EXPECT_FALSE(verify(log_.path()));
  EXPECT_FALSE(log_.open());
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

TEST_F(Verify, FindsAChangedLastLine) {
  const std::string content = log_.content();
  for (std::size_t i = content.size() - lines_[3].size(); i < content.size(); ++i) {
    std::string changed = content;
    changed[i] ^= 1;
    log_.replace(changed);
    EXPECT_FALSE(verify(log_.path())) << i;
  }
}

TEST_F(Verify, FindsACutEnd) {
  rewrite({lines_[0], lines_[1]});
  const auto verified = verify(log_.path());
  ASSERT_FALSE(verified);
  EXPECT_NE(verified.error().message.find("the log was cut: it ends with record 2, and 4 were written"),
            std::string::npos);
  log_.replace("");
  EXPECT_FALSE(verify(log_.path()));
}

// The next start goes on, and what it found stays found.
TEST_F(Verify, FindsWhatTheNextStartFound) {
  rewrite({lines_[0], lines_[1]});
  {
    auto writer = log_.open();
    ASSERT_TRUE(writer) << writer.error().message;
    ASSERT_TRUE(writer->write(Event::deny, 1, {{"host", "10.0.0.1"}}));
  }
  EXPECT_EQ(log_.records()[2]["missing"], 2);
  EXPECT_EQ(log_.records()[2]["seq"], 5);
  EXPECT_NE(verify(log_.path()).error().message.find("2 records before it are gone"), std::string::npos);
}

TEST_F(Verify, FindsWhatTheNextStartFoundChanged) {
  std::string changed = lines_[3];
  changed[changed.find("10.0.0.1")] = '2';
  rewrite({lines_[0], lines_[1], lines_[2], changed});
  ASSERT_TRUE(log_.open());
  EXPECT_EQ(log_.records()[4]["changed"], 4);
  EXPECT_NE(verify(log_.path()).error().message.find("was changed, as the next start found"), std::string::npos);
}

// Killed between the record and the head: the log is ahead by one, and nobody is at fault.
TEST_F(Verify, TakesALogThatIsAheadOfItsHead) {
  const std::string head = TestLog::read(head_file(log_.path()));
  {
    auto writer = log_.open();
    ASSERT_TRUE(writer->write(Event::deny, 5, {{"host", "10.0.0.1"}}));
  }
  std::ofstream(head_file(log_.path()), std::ios::trunc) << head;
  EXPECT_TRUE(verify(log_.path()));
  ASSERT_TRUE(log_.open());
  EXPECT_EQ(verify(log_.path())->last_seq, 5U);
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

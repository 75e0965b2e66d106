#include "audit/writer.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "audit/chain.h"
#include "audit/test_log.h"
#include "audit/verify.h"

namespace microagent::audit {
namespace {

const Fields kWhere{{"host", "192.0.2.1"}, {"dst", "192.0.2.1:80"}};

TEST(Writer, NumbersStampsAndChainsItsRecords) {
  TestLog log;
  auto writer = log.open();
  ASSERT_TRUE(writer);
  const std::uint64_t flow = writer->new_flow();
  ASSERT_TRUE(writer->write(Event::allow, flow, kWhere));
  ASSERT_TRUE(
      writer->write(Event::close, flow, {{"bytesOut", 1}, {"bytesIn", 2}, {"durationMs", 3}, {"end", "finished"}}));

  const auto records = log.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0]["seq"], 1);
  EXPECT_EQ(records[0]["ts"], "2026-06-27T09:01:02.000000000Z");
  EXPECT_EQ(records[0]["workspace"], "web");
  EXPECT_EQ(records[0]["prev"], kChainStart);
  EXPECT_EQ(records[1]["seq"], 2);
  EXPECT_EQ(records[1]["flow"], flow);
  EXPECT_EQ(verify(log.path())->records, 2U);
}

TEST(Writer, KeepsTheLogPrivate) {
  TestLog log;
  log.replace("");
  ::chmod(log.path().c_str(), 0644);
  ASSERT_TRUE(log.open());
  struct stat info {};
  ASSERT_EQ(::stat(log.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(Writer, GoesOnWhereAnEarlierProcessEnded) {
  TestLog log;
  {
    auto writer = log.open();
    ASSERT_TRUE(writer->write(Event::deny, writer->new_flow(), kWhere));
  }
  auto writer = log.open();
  EXPECT_EQ(writer->new_flow(), 2U);
  ASSERT_TRUE(writer->write(Event::deny, 2, kWhere));
  EXPECT_EQ(verify(log.path())->records, 2U);
}

TEST(Writer, ClosesTheFlowsOfADeadProcessAsLost) {
  TestLog log;
  {
    auto writer = log.open();
    ASSERT_TRUE(writer->write(Event::allow, 1, kWhere));
    ASSERT_TRUE(writer->write(Event::udp_allow, 2, kWhere));
    ASSERT_TRUE(writer->write(Event::allow, 3, kWhere));
    ASSERT_TRUE(writer->write(Event::close, 3, {{"host", "192.0.2.1"}, {"end", "finished"}}));
    ASSERT_TRUE(writer->write(Event::allow, 4, kWhere));
    ASSERT_TRUE(writer->write(Event::dial_error, 4, {{"host", "192.0.2.1"}, {"error", "refused"}}));
  }
  ASSERT_TRUE(log.open());
  const auto records = log.records();
  ASSERT_EQ(records.size(), 8U);
  EXPECT_EQ(records[6]["event"], "egress_close");
  EXPECT_EQ(records[6]["flow"], 1);
  EXPECT_EQ(records[6]["dst"], "192.0.2.1:80");
  EXPECT_EQ(records[6]["end"], "lost");
  EXPECT_EQ(records[7]["event"], "egress_udp_close");
  EXPECT_EQ(records[7]["flow"], 2);

  ASSERT_TRUE(log.open());  // and only once
  EXPECT_EQ(log.records().size(), 8U);
}

TEST(Writer, MovesATornLineAsideWhereverItWasCut) {
  TestLog whole;
  {
    auto writer = whole.open();
    ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
    ASSERT_TRUE(writer->write(Event::deny, 2, kWhere));
  }
  const std::string content = whole.content();
  const std::size_t first_line = content.find('\n') + 1;
  for (std::size_t length = first_line + 1; length < content.size(); ++length) {
    TestLog log;
    log.replace(content.substr(0, length));
    ASSERT_TRUE(log.open()) << length;
    EXPECT_EQ(verify(log.path())->torn_bytes, 0U);
    EXPECT_EQ(TestLog::read(log.torn_path()), content.substr(first_line, length - first_line) + "\n");
    const auto records = log.records();
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[1]["event"], "egress_audit_recovered");
    EXPECT_EQ(records[1]["tornBytes"], length - first_line);
  }
}

TEST(Writer, LeavesAForeignFileAlone) {
  TestLog log;
  log.replace("a letter\nto somebody\n");
  const auto writer = log.open();
  ASSERT_FALSE(writer);
  EXPECT_NE(writer.error().message.find("egress.jsonl: line 1"), std::string::npos);
  EXPECT_EQ(log.content(), "a letter\nto somebody\n");
}

TEST(Writer, FollowsNoLink) {
  TestLog log;
  std::filesystem::create_symlink("/dev/null", log.path());
  EXPECT_FALSE(log.open());
}

// A disk that fills up in the middle of a line, made with the file size limit: the record is refused whole, and the log
// goes on once there is room.
TEST(Writer, HoldsBackOnlyWhatNobodyWaitsFor) {
  TestLog log;
  auto writer = log.open();
  ASSERT_TRUE(writer->write_later(Event::request, 1, kWhere));
  ASSERT_TRUE(writer->write_later(Event::request, 2, kWhere));
  EXPECT_TRUE(writer->has_later());
  EXPECT_TRUE(log.records().empty());
  ASSERT_TRUE(writer->write(Event::deny, 3, kWhere));
  EXPECT_FALSE(writer->has_later());
  ASSERT_TRUE(writer->write_later(Event::request, 4, kWhere));
  EXPECT_EQ(log.records().size(), 3U);
  ASSERT_TRUE(writer->flush());
  ASSERT_TRUE(writer->flush());
  const auto records = log.records();
  ASSERT_EQ(records.size(), 4U);
  for (std::size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i]["flow"], i + 1);
  EXPECT_EQ(verify(log.path())->records, 4U);
}

TEST(Writer, IsWholeWithoutWhatDiedInItsHands) {
  TestLog log;
  {
    auto writer = log.open();
    ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
    ASSERT_TRUE(writer->write_later(Event::request, 2, kWhere));
  }
  auto writer = log.open();
  ASSERT_TRUE(writer->write(Event::deny, 3, kWhere));
  EXPECT_EQ(log.records().size(), 2U);
  EXPECT_EQ(verify(log.path())->records, 2U);
}

TEST(Writer, HoldsBackNoMoreThanAFileTakes) {
  TestLog log;
  auto writer = log.open({.file_bytes = 4096});
  for (std::uint64_t flow = 1; flow <= 200; ++flow) ASSERT_TRUE(writer->write_later(Event::request, flow, kWhere));
  ASSERT_TRUE(writer->flush());
  EXPECT_LT(log.content().size(), 8192U);
  EXPECT_GE(verify(log.path())->records, 200U);
}

// Runs `action` while no file may grow beyond `size`.
template <typename Action>
Status within_file_size(std::size_t size, const Action& action) {
  rlimit old{};
  EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{size, old.rlim_max};
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  Status status = action();
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);
  return status;
}

TEST(Writer, LosesWhatItHeldBackWhereThatDoesNotFit) {
  TestLog log;
  auto writer = log.open();
  ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  const std::string before = log.content();
  ASSERT_TRUE(writer->write_later(Event::request, 2, kWhere));
  ASSERT_TRUE(writer->write_later(Event::request, 3, kWhere));
  EXPECT_FALSE(within_file_size(before.size() + 300, [&] { return writer->flush(); }));
  EXPECT_EQ(log.content(), before);
  ASSERT_TRUE(writer->write(Event::deny, 4, kWhere));
  EXPECT_EQ(verify(log.path())->records, 2U);
}

TEST(Writer, RefusesWhatDoesNotFitAndGoesOnLater) {
  TestLog log;
  auto writer = log.open();
  ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  const std::string before = log.content();
  const Status refused = within_file_size(before.size() + 10, [&] { return writer->write(Event::deny, 2, kWhere); });
  EXPECT_FALSE(refused);
  EXPECT_EQ(log.content(), before);
  ASSERT_TRUE(writer->write(Event::deny, 2, kWhere));
  EXPECT_EQ(verify(log.path())->records, 2U);
}

TEST(Writer, TellsThatRecordsAreMissing) {
  TestLog log;
  auto writer = log.open();
  ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  ASSERT_TRUE(writer->tell_unwritten());
  EXPECT_EQ(log.records().size(), 1U) << "where there is nothing to tell";
  ASSERT_TRUE(writer->write_later(Event::request, 2, kWhere));
  ASSERT_TRUE(writer->write_later(Event::request, 3, kWhere));
  EXPECT_FALSE(within_file_size(log.content().size() + 10, [&] { return writer->flush(); }));
  EXPECT_FALSE(within_file_size(log.content().size() + 10, [&] { return writer->tell_unwritten(); }));
  ASSERT_TRUE(writer->tell_unwritten());
  ASSERT_TRUE(writer->tell_unwritten());
  const auto records = log.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1]["event"], "egress_audit_recovered");
  EXPECT_EQ(records[1]["unwritten"], 2);
  EXPECT_EQ(verify(log.path())->records, 2U);
}

}  // namespace
}  // namespace microagent::audit

#include "mediator/recorder.h"

#include <gtest/gtest.h>

#include "mediator/test_directory.h"

namespace microagent::mediator {
namespace {

class RecorderTest : public testing::Test {
 protected:
  std::string refuse(std::string_view dst) {
    Denial refused = denial("inside", "inside: loopback");
    EXPECT_TRUE(recorder_.refuse(refused, dst, "tcp", {audit::Event::deny, {{"dst", std::string(dst)}}}));
    return refused.id;
  }

  TestDirectory directory_;
  Recorder recorder_{std::move(*audit::Writer::open(directory_.audit_file(), "web"))};
};

TEST_F(RecorderTest, GivesEveryRefusalAnIdOfItsOwn) {
  const std::string first = refuse("10.0.0.1:80"), second = refuse("10.0.0.2:80");
  EXPECT_NE(first, second);
  const auto records = directory_.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0]["decision"], first);
  EXPECT_EQ(records[1]["decision"], second);
  EXPECT_EQ(recorder_.denials().entries().front().denial.id, second);
}

TEST_F(RecorderTest, CountsRefusalsThatOnlyRepeatThemselves) {
  const std::string first = refuse("10.0.0.1:80");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(refuse("10.0.0.1:80"), first);
  EXPECT_EQ(directory_.records().size(), 1U);
  EXPECT_EQ(recorder_.denials().entries().size(), 1U);
  EXPECT_EQ(recorder_.denial_count(), 1001U);
  recorder_.write_all_counts();
  const auto records = directory_.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1]["decision"], first);
  EXPECT_EQ(records[1]["count"], 1000);
}

TEST_F(RecorderTest, CountsOtherRecordsByTheirKey) {
  const auto record = [&](const std::string& name) {
    return recorder_.write_or_count(name, 3, [&] { return Record{audit::Event::dns_allow, {{"qname", name}}}; });
  };
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(record("a.example"));
  EXPECT_TRUE(record("b.example"));
  EXPECT_EQ(directory_.records().size(), 2U);
  recorder_.write_counts(std::chrono::steady_clock::now());
  EXPECT_EQ(directory_.records().size(), 2U);
  recorder_.write_counts(std::chrono::steady_clock::now() + Recorder::kWindow);
  const auto records = directory_.records();
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[2]["qname"], "a.example");
  EXPECT_EQ(records[2]["count"], 9);
  EXPECT_EQ(records[2]["flow"], 3);
  EXPECT_TRUE(record("a.example"));
  EXPECT_EQ(directory_.records().size(), 4U);
}

// What was said to those who wait for their records, in order.
class WaitingTest : public RecorderTest {
 protected:
  WaitingTest() {
    recorder_.set_on_later([this] { ++turns_; });
  }
  void wait_for_record(std::uint64_t flow) {
    recorder_.write_then(flow, allowed(), [this, flow](bool written) { heard_.emplace_back(flow, written); });
  }
  static Record allowed() { return {audit::Event::allow, {{"dst", "192.0.2.1:80"}}}; }

  int turns_ = 0;
  std::vector<std::pair<std::uint64_t, bool>> heard_;
};

TEST_F(WaitingTest, HearsOnceItsRecordIsInTheLog) {
  wait_for_record(1);
  wait_for_record(2);
  EXPECT_EQ(turns_, 1);
  EXPECT_TRUE(heard_.empty());
  EXPECT_TRUE(directory_.records().empty());
  recorder_.flush();
  EXPECT_EQ(heard_, (std::vector<std::pair<std::uint64_t, bool>>{{1, true}, {2, true}}));
  EXPECT_EQ(directory_.records().size(), 2U);
  recorder_.flush();
  EXPECT_EQ(heard_.size(), 2U);
}

TEST_F(WaitingTest, HearsInATurnOfItsOwnThoughAnotherRecordTookItsAlong) {
  wait_for_record(1);
  EXPECT_TRUE(recorder_.write(2, allowed()));
  EXPECT_EQ(directory_.records().size(), 2U);
  EXPECT_TRUE(heard_.empty());
  wait_for_record(3);
  recorder_.flush();
  EXPECT_EQ(heard_, (std::vector<std::pair<std::uint64_t, bool>>{{1, true}, {3, true}}));
}

TEST_F(WaitingTest, HearsThatItsRecordIsNotInTheLog) {
  EXPECT_TRUE(recorder_.write(1, allowed()));
  wait_for_record(2);
  {
    const FullDisk full(directory_.audit_file());
    wait_for_record(3);
    EXPECT_FALSE(recorder_.write(4, allowed()));
  }
  wait_for_record(5);
  recorder_.flush();
  EXPECT_EQ(heard_, (std::vector<std::pair<std::uint64_t, bool>>{{2, false}, {3, false}, {5, true}}));
  EXPECT_EQ(directory_.records().size(), 2U);
}

TEST_F(WaitingTest, HearsWhoeverLostItsRecord) {
  for (int i = 0; i < 3; ++i) refuse("10.0.0.1:80");
  wait_for_record(2);
  {
    const FullDisk full(directory_.audit_file());
    recorder_.write_all_counts();
  }
  recorder_.flush();
  EXPECT_EQ(heard_, (std::vector<std::pair<std::uint64_t, bool>>{{2, false}}));
}

// A flow whose beginning was lost with the disk has no end that is to be told; one whose end was lost is still open.
TEST_F(WaitingTest, KnowsWhichFlowsTheLogHasOpen) {
  const Record closed{audit::Event::close, {{"dst", "192.0.2.1:80"}, {"end", "finished"}}};
  EXPECT_TRUE(recorder_.write(1, allowed()));
  {
    const FullDisk full(directory_.audit_file());
    wait_for_record(2);
    recorder_.write_later(1, closed);
    recorder_.flush();
  }
  ASSERT_TRUE(recorder_.close_open_flows());
  const auto records = directory_.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1]["flow"], 1);
  EXPECT_EQ(records[1]["end"], "lost");
}

TEST_F(WaitingTest, AFlowThatHasEndedEndsOnce) {
  EXPECT_TRUE(recorder_.write(1, allowed()));
  recorder_.write_later(1, {audit::Event::close, {{"dst", "192.0.2.1:80"}, {"end", "finished"}}});
  ASSERT_TRUE(recorder_.close_open_flows());
  const auto records = directory_.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1]["end"], "finished");
}

TEST_F(RecorderTest, SaysWhenItCannotWrite) {
  refuse("10.0.0.1:80");
  Denial refused = denial("inside", "rule");
  const Record record{audit::Event::deny, {{"dst", "x"}}};
  {
    const FullDisk full(directory_.audit_file());
    EXPECT_FALSE(recorder_.write(0, record));
    EXPECT_FALSE(recorder_.refuse(refused, "x", "tcp", record));
    EXPECT_FALSE(recorder_.write_or_count("x", 0, [&] { return record; }));
  }
  EXPECT_TRUE(recorder_.refuse(refused, "x", "tcp", record));
  EXPECT_EQ(directory_.records().size(), 2U);
}

}  // namespace
}  // namespace microagent::mediator

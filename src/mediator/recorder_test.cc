#include "mediator/recorder.h"

#include <gtest/gtest.h>

#include "mediator/test_directory.h"

namespace microagent::mediator {
namespace {

class RecorderTest : public testing::Test {
 protected:
  std::string refuse(std::string_view dst) {
    Denial refused = denial("inside", "inside: loopback");
    EXPECT_TRUE(recorder_.refuse(refused, dst, "tcp", [&](const Denial& named) {
      return Record{audit::Event::deny, {{"dst", std::string(dst)}, {"decision", named.id}}};
    }));
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

TEST_F(RecorderTest, CountsWhatOnlyRepeatsItself) {
  const std::string first = refuse("10.0.0.1:80");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(refuse("10.0.0.1:80"), first);
  EXPECT_EQ(directory_.records().size(), 1U);
  EXPECT_EQ(recorder_.denials().entries().size(), 1U);
  EXPECT_EQ(recorder_.denial_count(), 1001U);
  recorder_.write_counts(std::chrono::steady_clock::now());
  EXPECT_EQ(directory_.records().size(), 1U);
  recorder_.write_counts(std::chrono::steady_clock::now() + Recorder::kFold);
  const auto records = directory_.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1]["decision"], first);
  EXPECT_EQ(records[1]["count"], 1000);
  EXPECT_NE(refuse("10.0.0.1:80"), first);
}

TEST_F(RecorderTest, WritesEverythingWhereThereIsNoRoomToCount) {
  for (std::size_t i = 0; i < Recorder::kMaxFolds + 5; ++i) refuse(std::to_string(i));
  refuse(std::to_string(Recorder::kMaxFolds + 1));
  EXPECT_EQ(directory_.records().size(), Recorder::kMaxFolds + 6);
}

TEST_F(RecorderTest, SaysWhenItCannotWrite) {
  refuse("10.0.0.1:80");
  Denial refused = denial("inside", "rule");
  const auto make = [](const Denial&) { return Record{audit::Event::deny, {{"dst", "x"}}}; };
  {
    const FullDisk full(directory_.audit_file());
    EXPECT_FALSE(recorder_.write(0, {audit::Event::deny, {{"dst", "x"}}}));
    EXPECT_FALSE(recorder_.refuse(refused, "x", "tcp", make));
  }
  EXPECT_TRUE(recorder_.refuse(refused, "x", "tcp", make));
  EXPECT_EQ(directory_.records().size(), 2U);
}

}  // namespace
}  // namespace microagent::mediator

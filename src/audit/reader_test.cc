#include "audit/reader.h"

#include <gmock/gmock.h>

#include "audit/log_files.h"
#include "audit/test_log.h"

namespace microagent::audit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Fields kWhere{{"host", "192.0.2.1"}, {"dst", "192.0.2.1:80"}};

class ReaderTest : public testing::Test {
 protected:
  std::vector<std::uint64_t> read_on() {
    std::vector<std::uint64_t> sequence;
    const Status read = reader_.read_on([&](const ParsedRecord& record, std::string_view line) -> Status {
      EXPECT_EQ(parse_record(line)->seq, record.seq);
      sequence.push_back(record.seq);
      return {};
    });
    EXPECT_TRUE(read) << read.error().message;
    return sequence;
  }

  TestLog log_;
  Reader reader_{log_.path()};
};

TEST_F(ReaderTest, WaitsForALogAndFollowsIt) {
  EXPECT_THAT(read_on(), IsEmpty());
  auto writer = log_.open();
  EXPECT_THAT(read_on(), IsEmpty());
  ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  ASSERT_TRUE(writer->write(Event::deny, 2, kWhere));
  EXPECT_THAT(read_on(), ElementsAre(1, 2));
  EXPECT_THAT(read_on(), IsEmpty());
  ASSERT_TRUE(writer->write(Event::deny, 3, kWhere));
  EXPECT_THAT(read_on(), ElementsAre(3));
}

TEST_F(ReaderTest, NeedsNoDirectory) {
  Reader reader("/nonexistent/egress.jsonl");
  EXPECT_TRUE(reader.read_on([](const ParsedRecord&, std::string_view) -> Status { return {}; }));
}

// However the writer's rotations fall between the reader's looks.
TEST_F(ReaderTest, FollowsThroughRotations) {
  for (const int step : {1, 2, 5, 17}) {
    TestLog log;
    auto writer = log.open({.file_bytes = 700, .kept_files = 1000});
    Reader reader(log.path());
    std::uint64_t next = 1;
    for (int i = 1; i <= 200; ++i) {
      ASSERT_TRUE(writer->write(Event::deny, writer->new_flow(), kWhere));
      if (i % step != 0) continue;
      const Status read = reader.read_on([&](const ParsedRecord& record, std::string_view) -> Status {
        EXPECT_EQ(record.seq, next++);
        return {};
      });
      ASSERT_TRUE(read) << read.error().message;
      EXPECT_EQ(next, writer->last_seq() + 1);
    }
    EXPECT_EQ(reader.missed(), 0U);
  }
}

TEST_F(ReaderTest, CountsWhatWasDroppedBeforeItCame) {
  auto writer = log_.open({.file_bytes = 700, .kept_files = 2});
  ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  EXPECT_THAT(read_on(), ElementsAre(1));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  const auto sequence = read_on();
  EXPECT_EQ(sequence.back(), writer->last_seq());
  EXPECT_GT(reader_.missed(), 50U);
  EXPECT_EQ(1 + reader_.missed() + sequence.size(), writer->last_seq());
}

TEST_F(ReaderTest, LeavesATornLineUntilItIsWholeOrGone) {
  {
    auto writer = log_.open();
    ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
    ASSERT_TRUE(writer->write(Event::deny, 2, kWhere));
  }
  const std::string whole = log_.content();
  log_.replace(whole.substr(0, whole.size() - 10));
  EXPECT_THAT(read_on(), ElementsAre(1));
  std::ofstream(log_.path(), std::ios::app) << whole.substr(whole.size() - 10);
  EXPECT_THAT(read_on(), ElementsAre(2));

  std::ofstream(log_.path(), std::ios::app) << "{\"seq\":3,\"to";
  EXPECT_THAT(read_on(), IsEmpty());
  ASSERT_TRUE(log_.open());  // moves the torn line aside and says so
  EXPECT_THAT(read_on(), ElementsAre(3));
}

TEST_F(ReaderTest, NamesALineThatIsNoRecord) {
  log_.replace("{}\n");
  const Status read = reader_.read_on([](const ParsedRecord&, std::string_view) -> Status { return {}; });
  EXPECT_THAT(read.error().message, HasSubstr("egress.jsonl: line 1 is not an audit record"));
  log_.replace(std::string(70'000, 'x'));
  Reader reader(log_.path());
  EXPECT_THAT(reader.read_on([](const ParsedRecord&, std::string_view) -> Status { return {}; }).error().message,
              HasSubstr("line 1 is too long"));
}

TEST_F(ReaderTest, StopsWhereItsSinkDoes) {
  auto writer = log_.open();
  ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  EXPECT_FALSE(reader_.read_on(
      [](const ParsedRecord&, std::string_view) { return Status(fail(ErrorKind::permanent, "full")); }));
}

}  // namespace
}  // namespace microagent::audit

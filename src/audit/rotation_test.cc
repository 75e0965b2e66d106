#include <gmock/gmock.h>

#include <set>

#include "audit/log_files.h"
#include "audit/reader.h"
#include "audit/test_log.h"
#include "audit/verify.h"

namespace microagent::audit {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const Fields kWhere{{"host", "192.0.2.1"}, {"dst", "192.0.2.1:80"}};
constexpr Rotation kTiny{.file_bytes = 1000, .kept_files = 3};
constexpr Rotation kManyTiny{.file_bytes = 1000, .kept_files = 1000};

std::vector<std::uint64_t> sequence_of(const TestLog& log) {
  std::vector<std::uint64_t> all;
  Reader reader(log.path());
  EXPECT_TRUE(reader.read_on([&](const ParsedRecord& record, std::string_view) -> Status {
    all.push_back(record.seq);
    return {};
  }));
  return all;
}

TEST(Rotation, LosesNoRecordAndContinuesTheChain) {
  TestLog log;
  auto writer = log.open(kManyTiny);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(writer->write(Event::deny, writer->new_flow(), kWhere));
  EXPECT_GT(rotated_numbers(log.path())->size(), 10U);
  const auto verified = verify(log.path());
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->first_seq, 1U);
  EXPECT_EQ(verified->last_seq, writer->last_seq());
  const auto all = sequence_of(log);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], i + 1);
  EXPECT_EQ(all.size(), verified->last_seq);
  const auto files = log_files(log.path());
  for (const fs::path& file : *files) EXPECT_LT(fs::file_size(file), 2000U);
}

TEST(Rotation, DropsTheOldestFilesAndSaysSo) {
  TestLog log;
  auto writer = log.open(kTiny);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(writer->write(Event::deny, writer->new_flow(), kWhere));
  EXPECT_EQ(rotated_numbers(log.path())->size(), 3U);
  const auto verified = verify(log.path());
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_GT(verified->first_seq, 1U);
  EXPECT_EQ(verified->last_seq, writer->last_seq());

  fs::remove(rotated_file(log.path(), rotated_numbers(log.path())->front()));
  EXPECT_THAT(verify(log.path()).error().message, HasSubstr("no record says that they were dropped"));
}

TEST(Rotation, GoesOnAfterARestart) {
  TestLog log;
  for (int start = 0; start < 10; ++start) {
    auto writer = log.open(kManyTiny);
    ASSERT_TRUE(writer) << writer.error().message;
    for (int i = 0; i < 7; ++i) ASSERT_TRUE(writer->write(Event::deny, writer->new_flow(), kWhere));
  }
  EXPECT_TRUE(verify(log.path()));
  std::set<std::uint64_t> flows;
  Reader reader(log.path());
  ASSERT_TRUE(reader.read_on([&](const ParsedRecord& record, std::string_view) -> Status {
    if (record.flow != 0) EXPECT_TRUE(flows.insert(record.flow).second) << record.flow;
    return {};
  }));
  EXPECT_EQ(flows.size(), 70U);
}

// A flow whose opening lies in a file that nobody reads any more still gets its end.
TEST(Rotation, KnowsWhatIsOpenWhateverWasDropped) {
  TestLog log;
  {
    auto writer = log.open(kTiny);
    for (int i = 0; i < 250; ++i) ASSERT_TRUE(writer->write(Event::allow, writer->new_flow(), kWhere));
    ASSERT_TRUE(writer->write(Event::close, 7, {{"host", "192.0.2.1"}, {"end", "finished"}}));
  }
  ASSERT_TRUE(log.open(kManyTiny));
  std::set<std::uint64_t> lost;
  Reader reader(log.path());
  ASSERT_TRUE(reader.read_on([&](const ParsedRecord& record, std::string_view) -> Status {
    if (record.event == Event::close && record.text("end") == "lost") {
      EXPECT_TRUE(lost.insert(record.flow).second);
      EXPECT_EQ(record.text("dst"), "192.0.2.1:80");
    }
    return {};
  }));
  EXPECT_EQ(lost.size(), 249U);
  EXPECT_FALSE(lost.contains(7));
  const auto verified = verify(log.path());
  EXPECT_TRUE(verified) << verified.error().message;
}

// A crash between the two renames leaves the log under its next name; one before leaves a beginning beside the log.
TEST(Rotation, IsFinishedOrForgottenAfterACrash) {
  TestLog log;
  auto writer = log.open(kManyTiny);
  while (rotated_numbers(log.path())->empty()) ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  fs::rename(log.path(), next_file(log.path()));
  ASSERT_TRUE(log.open(kManyTiny));
  EXPECT_TRUE(verify(log.path()));

  std::ofstream(next_file(log.path())) << "half a li";
  ASSERT_TRUE(log.open(kManyTiny));
  EXPECT_FALSE(fs::exists(next_file(log.path())));
  EXPECT_TRUE(verify(log.path()));
}

TEST(Rotation, FindsAnEditInAnyFile) {
  TestLog log;
  auto writer = log.open(kManyTiny);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(writer->write(Event::deny, 1, kWhere));
  const auto files = log_files(log.path());
  ASSERT_GT(files->size(), 3U);
  for (const fs::path& file : *files) {
    const std::string content = TestLog::read(file);
    for (std::size_t i = 0; i < content.size(); i += 7) {
      std::string changed = content;
      changed[i] ^= 1;
      std::ofstream(file, std::ios::trunc) << changed;
      EXPECT_FALSE(verify(log.path())) << file << " " << i;
    }
    fs::remove(file);
    EXPECT_FALSE(verify(log.path())) << file;
    std::ofstream(file, std::ios::trunc) << content;
  }
  EXPECT_TRUE(verify(log.path()));
}

}  // namespace
}  // namespace microagent::audit

// Writers that are killed at any moment: what they promised to have written is there, and every flow they opened ends
// exactly once.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <random>

#include "audit/reader.h"
#include "audit/test_log.h"
#include "audit/verify.h"

namespace microagent::audit {
namespace {

constexpr Rotation kRotation{.file_bytes = 20'000, .kept_files = 10'000};

// Opens and closes flows until it is killed, and tells how many records it was told are written.
[[noreturn]] void write_until_killed(const TestLog& log, int told) {
  auto writer = log.open(kRotation);
  if (!writer) ::_exit(1);
  std::mt19937 random(static_cast<unsigned>(::getpid()));
  std::vector<std::uint64_t> open;
  for (;;) {
    bool written = false;
    if (open.empty() || random() % 2 == 0) {
      open.push_back(writer->new_flow());
      const Event event = random() % 2 == 0 ? Event::allow : Event::udp_allow;
      written = writer->write(event, open.back(), {{"host", "a.com"}, {"dst", "192.0.2.1:80"}}).has_value();
    } else {
      std::swap(open.back(), open[random() % open.size()]);
      written = writer->write(Event::close, open.back(), {{"host", "a.com"}, {"end", "finished"}}).has_value();
      open.pop_back();
    }
    const std::uint64_t last = writer->last_seq();
    if (!written || ::write(told, &last, sizeof last) != sizeof last) ::_exit(1);
  }
}

// The last number the dead writer told.
std::uint64_t last_told(int pipe) {
  std::uint64_t last = 0;
  for (std::uint64_t next = 0; ::read(pipe, &next, sizeof next) == sizeof next;) last = next;
  return last;
}

TEST(Crash, LeavesEveryFlowWithOneEnd) {
  TestLog log;
  std::mt19937 random(1);
  for (int round = 0; round < 25; ++round) {
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_until_killed(log, told[1]);
    ::close(told[1]);
    // Wait until it is at work: a number of records that differs from round to round.
    std::uint64_t seen = 0;
    for (unsigned records = random() % 150; records > 0; --records) {
      ASSERT_EQ(::read(told[0], &seen, sizeof seen), static_cast<ssize_t>(sizeof seen));
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const std::uint64_t promised = std::max(seen, last_told(told[0]));
    ::close(told[0]);
    const auto verified = verify(log.path());
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_GE(verified->last_seq, promised);
  }
  ASSERT_TRUE(log.open(kRotation));
  ASSERT_TRUE(verify(log.path()));

  std::map<std::uint64_t, int> opened, closed;
  Reader reader(log.path());
  ASSERT_TRUE(reader.read_on([&](const ParsedRecord& record, std::string_view) -> Status {
    if (closing_event(record.event)) ++opened[record.flow];
    if (ends_flow(record.event)) ++closed[record.flow];
    return {};
  }));
  EXPECT_GT(opened.size(), 300U);
  EXPECT_EQ(opened, closed);
  for (const auto& [flow, times] : opened) EXPECT_EQ(times, 1) << flow;
}

}  // namespace
}  // namespace microagent::audit

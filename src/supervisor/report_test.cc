#include "supervisor/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "base/pipe.h"
#include "supervisor/worker.h"

namespace microagent::supervisor {
namespace {

std::vector<Report> reports_of(int pipe) {
  std::array<char, 4096> text{};
  const ssize_t size = ::read(pipe, text.data(), text.size());
  std::istringstream lines(std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))));
  std::vector<Report> reports;
  for (std::string line; std::getline(lines, line);) {
    const auto report = parse_report(line);
    EXPECT_TRUE(report) << line;
    if (report) reports.push_back(*report);
  }
  return reports;
}

TEST(Report, GoesRoundTrip) {
  auto pipe = make_pipe();
  Reporter reporter(std::move(pipe->write));
  reporter.progress("booting");
  reporter.failed({ErrorKind::resource_exhausted, "disk \"full\"\n", "free some"});
  const auto reports = reports_of(pipe->read.get());
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].text, "booting");
  EXPECT_EQ(reports[1].kind, Report::Kind::failed);
  EXPECT_EQ(reports[1].error.kind, ErrorKind::resource_exhausted);
  EXPECT_EQ(reports[1].error.message, "disk \"full\"\n");
  EXPECT_EQ(reports[1].error.remediation, "free some");
}

TEST(Report, EndsWithRunning) {
  auto pipe = make_pipe();
  Reporter reporter(std::move(pipe->write));
  reporter.running();
  reporter.progress("too late");
  const auto reports = reports_of(pipe->read.get());
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].kind, Report::Kind::running);
}

TEST(Report, RefusesWhatIsNone) {
  for (const char* bad : {"", "{", "7", "[]", "{}", R"({"type":"other"})", R"({"type":1})"}) {
    EXPECT_FALSE(parse_report(bad)) << bad;
  }
  EXPECT_FALSE(parse_report(R"({"type":"failed","error":[]})")->error.message.empty());
}

}  // namespace
}  // namespace microagent::supervisor

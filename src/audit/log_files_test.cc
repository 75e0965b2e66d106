#include "audit/log_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "audit/test_log.h"

namespace microagent::audit {
namespace {

using testing::ElementsAre;

TEST(LogFiles, AreInTheOrderOfTheirNumbers) {
  TestLog log;
  for (const char* suffix : {"10", "2", "9", "01", "x", "1x", "torn", "head", "next", "-1", ""}) {
    std::ofstream(log.path().string() + "." + suffix) << "";
  }
  std::ofstream(log.path()) << "";
  std::ofstream(log.path().parent_path() / "other.jsonl.3") << "";
  EXPECT_THAT(*rotated_numbers(log.path()), ElementsAre(2, 9, 10));
  EXPECT_THAT(*log_files(log.path()), ElementsAre(rotated_file(log.path(), 2), rotated_file(log.path(), 9),
                                                  rotated_file(log.path(), 10), log.path()));
}

TEST(LogFiles, KnowTheLogOfAnUnfinishedRotation) {
  TestLog log;
  std::ofstream(log.path().string() + ".1") << "";
  std::ofstream(next_file(log.path())) << "";
  EXPECT_THAT(*log_files(log.path()), ElementsAre(rotated_file(log.path(), 1), next_file(log.path())));
  std::ofstream(log.path()) << "";
  EXPECT_THAT(*log_files(log.path()), ElementsAre(rotated_file(log.path(), 1), log.path()));
}

TEST(LogFiles, NeedADirectory) { EXPECT_FALSE(log_files("/nonexistent/egress.jsonl")); }

TEST(OpenPrivate, TakesNobodyElsesFile) {
  TestLog log;
  EXPECT_TRUE(open_private(log.path(), O_RDWR));
  std::filesystem::remove(log.path());
  std::filesystem::create_symlink("/dev/null", log.path());
  EXPECT_FALSE(open_private(log.path(), O_RDWR));
  EXPECT_FALSE(open_private("/dev/null", O_RDWR));
}

}  // namespace
}  // namespace microagent::audit

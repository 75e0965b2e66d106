#include "base/secret.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <utility>

namespace microagent {
namespace {

constexpr std::string_view kWord = "correct horse";

TEST(Secret, HoldsItsBytes) {
  const Secret secret = Secret::of(kWord);
  EXPECT_EQ(secret.view(), kWord);
  EXPECT_EQ(secret.clone().view(), kWord);
  EXPECT_TRUE(Secret().empty());
  EXPECT_TRUE(Secret::of("").empty());
  EXPECT_EQ(Secret(3).view(), std::string_view("\0\0\0", 3));
}

TEST(Secret, MovesAndLeavesNothing) {
  Secret from = Secret::of(kWord);
  Secret to = std::move(from);
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(to.view(), kWord);
  Secret other = Secret::of("x");
  other = std::move(to);
  EXPECT_EQ(other.view(), kWord);
}

TEST(Secret, WipesWhatIsCutOff) {
  Secret secret = Secret::of(kWord);
  const char* bytes = secret.view().data();
  secret.cut(7);
  EXPECT_EQ(secret.view(), "correct");
  EXPECT_EQ(std::string_view(bytes + 7, kWord.size() - 7), std::string(kWord.size() - 7, '\0'));
}

// "dd" among the flags of the pages that hold it.
TEST(Secret, IsInNoCoreDump) {
  const Secret secret = Secret::of(kWord);
  std::ostringstream wanted;
  wanted << std::hex << reinterpret_cast<std::uintptr_t>(secret.view().data());
  std::ifstream maps("/proc/self/smaps");
  bool inside = false, found = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(wanted.str() + "-") != std::string::npos) inside = true;
    if (!inside || !line.starts_with("VmFlags:")) continue;
    found = line.find(" dd") != std::string::npos;
    break;
  }
  EXPECT_TRUE(inside);
  EXPECT_TRUE(found);
}

TEST(Wipe, LeavesNoByteOfAString) {
  std::string text(kWord);
  text.reserve(64);
  const char* bytes = text.data();
  wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(std::string_view(bytes, kWord.size()), std::string(kWord.size(), '\0'));
}

}  // namespace
}  // namespace microagent

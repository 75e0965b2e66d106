#include "mediator/relay_memory.h"

#include <gtest/gtest.h>

#include <vector>

namespace microagent::mediator {
namespace {

TEST(RelayMemory, GivesTheFirstTheWidestWindow) {
  RelayMemory memory;
  EXPECT_EQ(memory.take(true)->window(), RelayMemory::kMostWindow);
  EXPECT_EQ(memory.take(false)->window(), RelayMemory::kLeastWindow);
}

TEST(RelayMemory, GivesAWindowAgainWhileItIsNotTooMuchOfTheRest) {
  RelayMemory memory;
  EXPECT_EQ(memory.take_as_wide_as(1 << 20)->window(), 1u << 20);
  EXPECT_FALSE(memory.take_as_wide_as(RelayMemory::kLeastWindow - 1));
  std::vector<RelayMemory::Share> shares;
  while (auto share = memory.take_as_wide_as(RelayMemory::kMostWindow)) shares.push_back(std::move(*share));
  constexpr std::size_t kOfOne = 2 * (RelayMemory::kMostWindow - RelayMemory::kLeastWindow);
  EXPECT_GE(shares.size() + 3, RelayMemory::kWider / kOfOne);
  EXPECT_LT(shares.size(), RelayMemory::kWider / kOfOne);
  EXPECT_TRUE(memory.take_as_wide_as(RelayMemory::kLeastWindow)) << "which takes none of the rest";
}

TEST(RelayMemory, OutlivesWhoGaveIt) {
  std::optional<RelayMemory::Share> share;
  {
    RelayMemory memory;
    share = memory.take(true);
  }
  EXPECT_EQ(share->window(), RelayMemory::kMostWindow);
}

TEST(RelayMemory, BoundsAllFlowsTogether) {
  RelayMemory memory;
  std::vector<RelayMemory::Share> shares;
  std::size_t held = 0;
  std::uint32_t last = RelayMemory::kMostWindow;
  while (auto share = memory.take(true)) {
    EXPECT_LE(share->window(), last);
    EXPECT_GE(share->window(), RelayMemory::kLeastWindow);
    last = share->window();
    held += RelayMemory::kOfFlow + 2 * std::size_t{last};
    shares.push_back(std::move(*share));
  }
  EXPECT_EQ(shares.size(), RelayMemory::kMaxFlows);
  EXPECT_LE(held, std::size_t{1} << 30);

  // What has ended is to be had again.
  shares.pop_back();
  EXPECT_TRUE(memory.take(true));
  shares.clear();
  EXPECT_EQ(memory.take(true)->window(), RelayMemory::kMostWindow);
}

TEST(RelayMemory, CountsWhatIsBorrowed) {
  RelayMemory memory;
  constexpr std::size_t kPiece = 16 * 1024 * 1024;
  std::vector<std::shared_ptr<RelayMemory::Loan>> loans;
  while (auto loan = memory.lend(kPiece)) loans.push_back(std::move(loan));
  EXPECT_EQ(loans.size(), RelayMemory::kMostLent / kPiece);
  std::vector<RelayMemory::Share> shares;
  std::size_t held = loans.size() * kPiece;
  while (auto share = memory.take(true)) {
    held += RelayMemory::kOfFlow + 2 * std::size_t{share->window()};
    shares.push_back(std::move(*share));
  }
  EXPECT_GT(shares.size(), 500u);
  EXPECT_LE(held, RelayMemory::kAll);
  loans.clear();
  EXPECT_TRUE(memory.take(true));
  EXPECT_EQ(memory.lend(RelayMemory::kAll), nullptr);
}

TEST(RelayMemory, IsGivenBackOnce) {
  RelayMemory memory;
  auto share = memory.take(true);
  RelayMemory::Share moved = std::move(*share);
  share.reset();
  moved = {};
  for (std::size_t i = 0; i < RelayMemory::kMaxFlows; ++i)
    EXPECT_EQ(memory.take(true)->window(), RelayMemory::kMostWindow);
}

}  // namespace
}  // namespace microagent::mediator

#include "mediator/head_memory.h"

#include <optional>

#include "mediator/test_relay.h"

namespace microagent::mediator {
namespace {

// Lends so many pieces.
class Lender final : public TestGate {
 public:
  std::shared_ptr<void> borrow(std::size_t bytes) override {
    EXPECT_EQ(bytes, HeadMemory::kPiece);
    if (lent.use_count() > 2) return nullptr;
    return lent;
  }

  std::shared_ptr<void> lent = std::make_shared<int>();
};

TEST(HeadMemory, BorrowsOnlyWhatIsBeyondItsOwn) {
  Lender gate;
  HeadMemory memory(gate);
  HeadMemory::Held held(memory);
  EXPECT_TRUE(held.grow(HeadMemory::kOwn));
  EXPECT_EQ(gate.lent.use_count(), 1);
  EXPECT_TRUE(held.grow(1));
  EXPECT_EQ(gate.lent.use_count(), 2);
  EXPECT_TRUE(held.grow(HeadMemory::kPiece - 1));
  EXPECT_EQ(gate.lent.use_count(), 2);
}

TEST(HeadMemory, GivesBackWhatIsOver) {
  Lender gate;
  HeadMemory memory(gate);
  HeadMemory::Held first(memory);
  ASSERT_TRUE(first.grow(HeadMemory::kOwn));
  std::optional<HeadMemory::Held> second(memory);
  ASSERT_TRUE(second->grow(2 * HeadMemory::kPiece));
  HeadMemory::Held moved = std::move(*second);
  second.reset();
  EXPECT_EQ(gate.lent.use_count(), 3);
  moved = HeadMemory::Held();
  EXPECT_EQ(gate.lent.use_count(), 1);
}

TEST(HeadMemory, KeepsNothingOfWhatCannotBeHad) {
  Lender gate;
  HeadMemory memory(gate);
  HeadMemory::Held held(memory);
  EXPECT_FALSE(held.grow(HeadMemory::kOwn + 3 * HeadMemory::kPiece));
  EXPECT_EQ(gate.lent.use_count(), 1);
  EXPECT_TRUE(held.grow(HeadMemory::kOwn + 2 * HeadMemory::kPiece));
  EXPECT_FALSE(held.grow(1));
}

}  // namespace
}  // namespace microagent::mediator

#pragma once

// How many bytes flows may still move. TCP, UDP and whoever else carries bytes between guest and host asks here before
// it reads from either side, so that a ceiling is never overstepped, and gives back what it could not move after all.
//
// A budget has a ceiling in bytes, counted over both directions since the process began, and a rate. A flow is charged
// to its own budget and to the workspace's. Where bytes are refused the flow's reads stop: until reopened() says to try
// again, or for good where spent() says that the flow must end.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace microagent::netstack {

using BudgetId = std::uint32_t;
inline constexpr BudgetId kNoBudget = 0;         // charged to nobody
inline constexpr BudgetId kWorkspaceBudget = 1;  // what every other budget is charged to as well
inline constexpr std::size_t kMaxBudgets = 1024;

enum class Direction : std::uint8_t { out, in };  // guest to host, host to guest

class Budgets {
 public:
  static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};
  static constexpr std::uint64_t kReportInterval = 1'000'000'000;  // ns
  // The rate's bucket holds a tenth of a second, and never less than this.
  static constexpr std::uint64_t kMinBurst = 16 * 1024;
  // A stream goes on once this much may move, so that a slow rate does not end in a trickle of tiny segments.
  static constexpr std::int64_t kQuantum = 4096;

  struct Limit {
    std::uint64_t bytes = kUnlimited;  // in all; where it is reached and not `last`, more is asked for
    std::uint64_t bytes_per_second = kUnlimited;
    bool last = false;  // no more will come
  };

  // From now on; false when the number is no budget's. A budget that was never set is unlimited.
  [[nodiscard]] bool set(BudgetId id, const Limit& limit, std::uint64_t now);

  // How many of `wanted` bytes of a stream may move now; they are charged.
  std::size_t take(BudgetId id, Direction direction, std::size_t wanted, std::uint64_t now);
  // The same for a datagram, which moves whole or not at all.
  bool take_whole(BudgetId id, Direction direction, std::size_t bytes, std::uint64_t now);
  // Bytes that were taken and did not move.
  void give_back(BudgetId id, Direction direction, std::size_t bytes);

  // Flows of this budget must end: `next` bytes, those of a whole datagram where that is what moves, never will.
  bool spent(BudgetId id, std::size_t next = 1) const;

  // Whether flows that were refused bytes may try again. True once for each time that something opened.
  bool reopened(std::uint64_t now);
  // Whether a flow that waits has reason to try: bytes, or its end. If not, it goes on waiting.
  bool worth_trying(BudgetId id, std::uint64_t now);
  // When to ask reopened(), and next_report(), again; nothing: not before something else happens.
  std::optional<std::uint64_t> reopens_at() const;
  std::optional<std::uint64_t> reports_at() const;

  struct Report {
    BudgetId id = kNoBudget;
    std::uint64_t out = 0, in = 0;
  };
  // What is due to be told: call until there is nothing.
  std::optional<Report> next_report(std::uint64_t now);

 private:
  struct Budget {
    Limit limit;
    std::array<std::uint64_t, 2> used{};  // by direction
    std::uint64_t reported = 0;           // of the sum
    std::uint64_t granted_at = 0;         // the sum when the ceiling was last set
    std::uint64_t reported_at = 0;        // ns
    std::uint64_t filled_at = 0;          // ns
    std::int64_t tokens = 0;              // of the rate
    bool waiting = false;                 // somebody was refused
    bool asked = false;                   // for more, since the ceiling was last set
    bool short_of_one = false;            // a datagram was longer than what is left of the ceiling

    std::uint64_t sum() const { return used[0] + used[1]; }
    std::uint64_t left() const { return limit.bytes > sum() ? limit.bytes - sum() : 0; }
    bool rated() const { return limit.bytes_per_second != kUnlimited; }
    std::uint64_t burst() const;
    void refill(std::uint64_t now);
    std::size_t room(std::size_t wanted);
    bool room_for_whole(std::size_t bytes);
    void charge(Direction direction, std::size_t bytes);
    bool stands_open() const { return left() > 0 && (!rated() || tokens >= kQuantum); }
    std::uint64_t opens_at() const;
    bool wants_more() const;
  };

  Budget* find(BudgetId id);
  const Budget* find(BudgetId id) const;

  std::vector<Budget> budgets_ = std::vector<Budget>(kWorkspaceBudget + 1);  // by number; grows when one is set
  bool reopened_ = false;
};

}  // namespace microagent::netstack

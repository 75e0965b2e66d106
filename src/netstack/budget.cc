#include "netstack/budget.h"

#include <algorithm>
#include <utility>

namespace microagent::netstack {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

}  // namespace

std::uint64_t Budgets::Budget::burst() const { return std::max(limit.bytes_per_second / 10, kMinBurst); }

void Budgets::Budget::refill(std::uint64_t now) {
  if (!rated() || now <= filled_at) return;
  const std::uint64_t passed = std::min(now - filled_at, 10 * kSecond);
  const auto earned =
      static_cast<std::int64_t>(static_cast<unsigned __int128>(passed) * limit.bytes_per_second / kSecond);
  if (earned == 0) return;
  tokens = std::min(tokens + earned, static_cast<std::int64_t>(burst()));
  // Where the bucket is not full, the part of a byte that was earned too is kept as time.
  const bool full = tokens == static_cast<std::int64_t>(burst()) || passed < now - filled_at;
  const auto spent_on_it =
      static_cast<std::uint64_t>(static_cast<unsigned __int128>(earned) * kSecond / limit.bytes_per_second);
  filled_at = full ? now : filled_at + spent_on_it;
}

std::size_t Budgets::Budget::room(std::size_t wanted) {
  std::uint64_t most = std::min<std::uint64_t>(wanted, left());
  if (rated()) {
    const bool worthwhile = tokens >= std::min(kQuantum, static_cast<std::int64_t>(most));
    most = worthwhile ? std::min(most, static_cast<std::uint64_t>(tokens)) : 0;
  }
  if (most == 0) waiting = true;
  return most;
}

// A datagram may be longer than the bucket: it goes while there is any token, and the debt is paid off first.
bool Budgets::Budget::room_for_whole(std::size_t bytes) {
  const bool room = bytes <= left() && (!rated() || tokens > 0);
  if (!room) waiting = true;
  if (bytes > left()) short_of_one = true;
  return room;
}

void Budgets::Budget::charge(Direction direction, std::size_t bytes) {
  used[static_cast<std::size_t>(direction)] += bytes;
  if (rated()) tokens -= static_cast<std::int64_t>(bytes);
}

// When the rate lets those go on that wait for it: at an eighth of the bucket, so that the loop wakes some eighty times
// a second at most.
std::uint64_t Budgets::Budget::opens_at() const {
  if (!waiting || !rated() || limit.bytes_per_second == 0 || left() == 0) return kUnlimited;
  const std::int64_t enough = std::max(kQuantum, static_cast<std::int64_t>(burst() / 8));
  const auto missing = static_cast<std::uint64_t>(std::max<std::int64_t>(enough - tokens, 1));
  return filled_at +
         static_cast<std::uint64_t>((static_cast<unsigned __int128>(missing) * kSecond + limit.bytes_per_second - 1) /
                                    limit.bytes_per_second);
}

// Three quarters of the last grant are gone, or somebody waits at its end. That all is spent is told at once too.
bool Budgets::Budget::wants_more() const {
  if (limit.bytes == kUnlimited || asked) return false;
  if (limit.last) return left() == 0 && sum() != reported;
  const std::uint64_t grant = limit.bytes > granted_at ? limit.bytes - granted_at : 0;
  return short_of_one || left() <= grant / 4;
}

Budgets::Budget* Budgets::find(BudgetId id) { return id < budgets_.size() ? &budgets_[id] : nullptr; }
const Budgets::Budget* Budgets::find(BudgetId id) const { return id < budgets_.size() ? &budgets_[id] : nullptr; }

bool Budgets::set(BudgetId id, const Limit& limit, std::uint64_t now) {
  if (id == kNoBudget || id >= kMaxBudgets) return false;
  if (id >= budgets_.size()) budgets_.resize(id + 1);
  Budget& budget = budgets_[id];
  budget.refill(now);
  const bool new_rate = budget.limit.bytes_per_second != limit.bytes_per_second;
  budget.limit = limit;
  budget.granted_at = budget.sum();
  budget.asked = false;
  budget.short_of_one = false;
  if (new_rate) {
    budget.tokens = static_cast<std::int64_t>(budget.rated() ? budget.burst() : 0);
    budget.filled_at = now;
  }
  if (budget.waiting) {
    budget.waiting = false;
    reopened_ = true;
  }
  return true;
}

std::size_t Budgets::take(BudgetId id, Direction direction, std::size_t wanted, std::uint64_t now) {
  if (id == kNoBudget || wanted == 0) return wanted;
  Budget& workspace = budgets_[kWorkspaceBudget];
  Budget* own = id == kWorkspaceBudget ? nullptr : find(id);
  workspace.refill(now);
  if (own != nullptr) own->refill(now);
  std::size_t granted = workspace.room(wanted);
  if (own != nullptr && granted != 0) granted = own->room(granted);
  if (granted == 0) return 0;
  workspace.charge(direction, granted);
  if (own != nullptr) own->charge(direction, granted);
  return granted;
}

bool Budgets::take_whole(BudgetId id, Direction direction, std::size_t bytes, std::uint64_t now) {
  if (id == kNoBudget) return true;
  Budget& workspace = budgets_[kWorkspaceBudget];
  Budget* own = id == kWorkspaceBudget ? nullptr : find(id);
  workspace.refill(now);
  if (own != nullptr) own->refill(now);
  if (!workspace.room_for_whole(bytes) || (own != nullptr && !own->room_for_whole(bytes))) return false;
  workspace.charge(direction, bytes);
  if (own != nullptr) own->charge(direction, bytes);
  return true;
}

void Budgets::give_back(BudgetId id, Direction direction, std::size_t bytes) {
  if (id == kNoBudget) return;
  const auto undo = [&](Budget& budget) {
    budget.used[static_cast<std::size_t>(direction)] -= bytes;
    if (budget.rated()) budget.tokens += static_cast<std::int64_t>(bytes);
  };
  undo(budgets_[kWorkspaceBudget]);
  if (Budget* own = id == kWorkspaceBudget ? nullptr : find(id)) undo(*own);
}

bool Budgets::spent(BudgetId id, std::size_t next) const {
  if (id == kNoBudget) return false;
  const auto is_spent = [next](const Budget& budget) { return budget.limit.last && budget.left() < next; };
  if (is_spent(budgets_[kWorkspaceBudget])) return true;
  const Budget* own = find(id);
  return own != nullptr && is_spent(*own);
}

bool Budgets::reopened(std::uint64_t now) {
  for (Budget& budget : budgets_) {
    if (now < budget.opens_at()) continue;
    budget.waiting = false;
    reopened_ = true;
  }
  return std::exchange(reopened_, false);
}

bool Budgets::worth_trying(BudgetId id, std::uint64_t now) {
  if (id == kNoBudget || spent(id)) return true;
  bool open = true;
  const auto look = [&](Budget& budget) {
    budget.refill(now);
    budget.waiting |= !budget.stands_open();
    open = open && budget.stands_open();
  };
  look(budgets_[kWorkspaceBudget]);
  if (Budget* own = id == kWorkspaceBudget ? nullptr : find(id)) look(*own);
  return open;
}

std::optional<std::uint64_t> Budgets::reopens_at() const {
  std::uint64_t first = kUnlimited;
  for (const Budget& budget : budgets_) first = std::min(first, budget.opens_at());
  return first == kUnlimited ? std::nullopt : std::optional(first);
}

std::optional<std::uint64_t> Budgets::reports_at() const {
  std::uint64_t first = kUnlimited;
  for (const Budget& budget : budgets_) {
    if (budget.sum() != budget.reported) first = std::min(first, budget.reported_at + kReportInterval);
    if (budget.wants_more()) first = 0;
  }
  return first == kUnlimited ? std::nullopt : std::optional(first);
}

std::optional<Budgets::Report> Budgets::next_report(std::uint64_t now) {
  for (std::size_t id = 0; id < budgets_.size(); ++id) {
    Budget& budget = budgets_[id];
    const bool due = budget.sum() != budget.reported && now >= budget.reported_at + kReportInterval;
    const bool more = budget.wants_more();
    if (!due && !more) continue;
    budget.asked = budget.asked || more;
    budget.reported = budget.sum();
    budget.reported_at = now;
    return Report{static_cast<BudgetId>(id), budget.used[0], budget.used[1]};
  }
  return std::nullopt;
}

}  // namespace microagent::netstack

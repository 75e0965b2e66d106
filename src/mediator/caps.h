#pragma once

// The caps of a workspace and of single rules: how many flows may live at once, and how many bytes may pass.
//
// netd counts the bytes and charges them before it takes them from either side; it may spend what it was granted. A
// grant is written into the usage file before netd hears of it, so that whoever is killed whenever, nothing passes that
// was not charged: a crash costs at most one grant, never gives one for nothing.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "flow/messages.h"
#include "mediator/usage_file.h"
#include "policy/policy.h"

namespace microagent::mediator {

// A cap that stands in the way, for the record.
struct CapHit {
  std::string cap;     // "maxTotalBytes", "maxConnections", and for a rule's own "rule RULE: maxBytes"
  std::string reason;  // "volume" or "concurrency"
  std::uint64_t limit = 0;
};

class Caps {
 public:
  // A sixteenth of the cap a grant, within these.
  static constexpr std::uint64_t kMinGrant = 64 * 1024;
  static constexpr std::uint64_t kMaxGrant = 4 * 1024 * 1024;

  using Send = std::function<void(const flow::Limits&)>;

  static Result<Caps> open(std::filesystem::path usage_file, Send send);

  // The ceilings as they are from now on. Fails when a grant cannot be written down; nothing is granted then.
  Status apply(const policy::Policy& policy);

  // One more flow, allowed by `rule` (null: by a built-in one): the budget its verdict names, or what stands in the
  // way.
  tl::expected<flow::BudgetId, CapHit> admit(const policy::RulePtr& rule);
  // It has ended, and has moved so many bytes. netd tells of them by itself, but only once a second.
  void release(flow::BudgetId budget, std::uint64_t bytes_out, std::uint64_t bytes_in);

  // What netd has spent; grants more where there is more.
  Status on_usage(const flow::Usage& usage);

  // The volume cap a flow of this budget ended by. Once a time that it is reached; after that nothing.
  std::optional<CapHit> take_hit(flow::BudgetId budget);

  // Writes down what really was spent, as far as that is known.
  Status settle();

  std::uint64_t bytes_out() const { return ledgers_[flow::kWorkspaceBudget].out; }
  std::uint64_t bytes_in() const { return ledgers_[flow::kWorkspaceBudget].in; }

 private:
  struct Ledger {
    std::string key;         // in the usage file
    std::string name;        // of the cap
    std::uint64_t cap = 0;   // bytes; 0: none
    std::uint64_t rate = 0;  // bytes a second; 0: none
    std::uint32_t max_flows = 0;
    std::uint64_t before = 0;   // charged before netd began to count
    std::uint64_t granted = 0;  // since then
    std::uint64_t out = 0, in = 0;
    std::uint64_t ended_out = 0, ended_in = 0;  // of these, bytes of flows that have ended
    std::uint32_t flows = 0;
    bool told = false;  // netd knows of a limit
    bool hit_taken = false;

    std::uint64_t spent() const { return before + out + in; }
    bool exhausted() const { return cap != 0 && spent() >= cap; }
  };

  Caps(std::filesystem::path file, ChargedBytes charged, Send send);
  void set_ceiling(flow::BudgetId id, std::uint64_t cap, std::uint64_t rate, std::uint32_t max_flows);
  Status grant(flow::BudgetId id);
  void send(flow::BudgetId id);
  std::optional<flow::BudgetId> budget_of(const policy::RulePtr& rule);
  CapHit volume_hit(const Ledger& ledger) const;

  std::filesystem::path file_;
  ChargedBytes charged_;
  Send send_;
  std::vector<Ledger> ledgers_;  // by budget
  std::unordered_map<std::string, flow::BudgetId> by_rule_;
};

}  // namespace microagent::mediator

#include "mediator/caps.h"

#include <fmt/format.h>

#include <algorithm>

namespace microagent::mediator {
namespace {

constexpr std::string_view kWorkspaceKey = "workspace";

bool is_capped(const policy::RulePtr& rule) { return rule && (rule->max_bytes || rule->max_connections); }

}  // namespace

Result<Caps> Caps::open(std::filesystem::path usage_file, Send send) {
  auto charged = read_usage(usage_file);
  if (!charged) return fail(charged.error());
  return Caps(std::move(usage_file), std::move(*charged), std::move(send));
}

Caps::Caps(std::filesystem::path file, ChargedBytes charged, Send send)
    : file_(std::move(file)), charged_(std::move(charged)), send_(std::move(send)), ledgers_(2) {
  Ledger& workspace = ledgers_[flow::kWorkspaceBudget];
  workspace.key = kWorkspaceKey;
  workspace.before = charged_[workspace.key];
}

Status Caps::apply(const policy::Policy& policy) {
  const policy::Caps& caps = policy.caps();
  set_ceiling(flow::kWorkspaceBudget, caps.max_total_bytes, caps.max_bytes_per_second, caps.max_connections);
  // A rule that is gone caps nothing any more; what it was charged is kept for when it comes back.
  for (flow::BudgetId id = flow::kWorkspaceBudget + 1; id < ledgers_.size(); ++id) set_ceiling(id, 0, 0, 0);
  for (const policy::List list : {policy::List::allow, policy::List::passthrough}) {
    for (const policy::RulePtr& rule : policy.list(list).rules()) {
      if (!is_capped(rule)) continue;
      if (const auto id = budget_of(rule))
        set_ceiling(*id, rule->max_bytes.value_or(0), 0, rule->max_connections.value_or(0));
    }
  }
  for (flow::BudgetId id = flow::kWorkspaceBudget; id < ledgers_.size(); ++id) {
    if (Status granted = grant(id); !granted) return granted;
  }
  return {};
}

void Caps::set_ceiling(flow::BudgetId id, std::uint64_t cap, std::uint64_t rate, std::uint32_t max_flows) {
  Ledger& ledger = ledgers_[id];
  const bool told = ledger.told;
  if (ledger.cap != cap) ledger.hit_taken = false;
  ledger.cap = cap;
  ledger.rate = rate;
  ledger.max_flows = max_flows;
  // Without a cap there is nothing to tell, but what was told before must be taken back.
  ledger.told = told || cap != 0 || rate != 0;
}

// The budget of a rule with caps of its own, made when it is first asked for; nothing when there are too many.
std::optional<flow::BudgetId> Caps::budget_of(const policy::RulePtr& rule) {
  if (const auto found = by_rule_.find(rule->text); found != by_rule_.end()) return found->second;
  if (ledgers_.size() >= flow::kMaxBudgets) return std::nullopt;
  const auto id = static_cast<flow::BudgetId>(ledgers_.size());
  Ledger& ledger = ledgers_.emplace_back();
  ledger.key = "rule " + rule->text;
  ledger.name = ledger.key + ": ";
  ledger.before = charged_[ledger.key];
  by_rule_.emplace(rule->text, id);
  return id;
}

// Gives netd its next part, or all that is left, once that is written down.
Status Caps::grant(flow::BudgetId id) {
  Ledger& ledger = ledgers_[id];
  if (!ledger.told) return {};
  if (ledger.cap != 0) {
    const std::uint64_t part = std::clamp(ledger.cap / 16, kMinGrant, kMaxGrant);
    const std::uint64_t left = ledger.cap > ledger.before ? ledger.cap - ledger.before : 0;
    const std::uint64_t granted = std::min(left, ledger.out + ledger.in + part);
    charged_[ledger.key] = ledger.before + std::max(granted, ledger.out + ledger.in);
    if (Status written = write_usage(file_, charged_); !written) {
      ledger.granted = ledger.out + ledger.in;
      send_({.budget = id, .last = 1, .bytes = ledger.granted, .bytes_per_second = flow::kUnlimited});
      return written;
    }
    ledger.granted = granted;
  }
  send(id);
  return {};
}

void Caps::send(flow::BudgetId id) {
  const Ledger& ledger = ledgers_[id];
  flow::Limits limits{.budget = id};
  if (ledger.cap != 0) {
    limits.bytes = ledger.granted;
    limits.last = ledger.before + ledger.granted >= ledger.cap ? 1 : 0;
  }
  if (ledger.rate != 0) limits.bytes_per_second = ledger.rate;
  send_(limits);
}

tl::expected<flow::BudgetId, CapHit> Caps::admit(const policy::RulePtr& rule) {
  Ledger& workspace = ledgers_[flow::kWorkspaceBudget];
  if (workspace.exhausted()) return tl::unexpected(volume_hit(workspace));
  if (workspace.max_flows != 0 && workspace.flows >= workspace.max_flows) {
    return tl::unexpected(CapHit{"maxConnections", "concurrency", workspace.max_flows});
  }
  if (!is_capped(rule)) {
    ++workspace.flows;
    return flow::kWorkspaceBudget;
  }
  const auto id = budget_of(rule);
  if (!id) return tl::unexpected(CapHit{"rules with caps of their own", "concurrency", flow::kMaxBudgets});
  Ledger& own = ledgers_[*id];
  if (own.exhausted()) return tl::unexpected(volume_hit(own));
  if (own.max_flows != 0 && own.flows >= own.max_flows) {
    return tl::unexpected(CapHit{own.name + "maxConnections", "concurrency", own.max_flows});
  }
  ++ledgers_[flow::kWorkspaceBudget].flows;
  ++own.flows;
  return *id;
}

void Caps::release(flow::BudgetId budget, std::uint64_t bytes_out, std::uint64_t bytes_in) {
  const auto leave = [&](Ledger& ledger) {
    if (ledger.flows != 0) --ledger.flows;
    ledger.ended_out += bytes_out;
    ledger.ended_in += bytes_in;
    ledger.out = std::max(ledger.out, ledger.ended_out);
    ledger.in = std::max(ledger.in, ledger.ended_in);
  };
  if (budget == flow::kNoBudget || budget >= ledgers_.size()) return;
  leave(ledgers_[flow::kWorkspaceBudget]);
  if (budget != flow::kWorkspaceBudget) leave(ledgers_[budget]);
}

// Reports may cross a grant, so what is already granted further is not granted again.
Status Caps::on_usage(const flow::Usage& usage) {
  if (usage.budget == flow::kNoBudget || usage.budget >= ledgers_.size()) return {};
  Ledger& ledger = ledgers_[usage.budget];
  ledger.out = std::max(ledger.out, usage.bytes_out);
  ledger.in = std::max(ledger.in, usage.bytes_in);
  if (ledger.cap == 0 || ledger.before + ledger.granted >= ledger.cap) return {};
  return grant(usage.budget);
}

std::optional<CapHit> Caps::take_hit(flow::BudgetId budget) {
  for (const flow::BudgetId id : {budget, flow::kWorkspaceBudget}) {
    if (id == flow::kNoBudget || id >= ledgers_.size()) continue;
    Ledger& ledger = ledgers_[id];
    if (ledger.cap == 0 || ledger.before + ledger.granted < ledger.cap || ledger.hit_taken) continue;
    ledger.hit_taken = true;
    return volume_hit(ledger);
  }
  return std::nullopt;
}

// Where every flow has ended its bytes are known to the last one; else the grant stays charged.
Status Caps::settle() {
  bool capped = false;
  for (Ledger& ledger : ledgers_) {
    if (ledger.cap == 0) continue;
    capped = true;
    if (ledger.flows == 0) charged_[ledger.key] = ledger.spent();
  }
  return capped ? write_usage(file_, charged_) : Status();
}

CapHit Caps::volume_hit(const Ledger& ledger) const {
  return {ledger.name.empty() ? "maxTotalBytes" : ledger.name + "maxBytes", "volume", ledger.cap};
}

}  // namespace microagent::mediator

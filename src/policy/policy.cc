#include "policy/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace microagent::policy {
namespace {

constexpr std::array kLists{List::allow, List::deny, List::passthrough};

tl::unexpected<Error> contradiction(const RuleText& entry, std::string_view why, std::string_view remedy) {
  const std::string place = entry.place.empty() ? "" : entry.place + ": ";
  return fail(ErrorKind::usage, fmt::format("{}egress rule \"{}\": {}", place, entry.destination, why),
              std::string(remedy));
}

// What a rule may not say in one list or another.
Status check_fit(const RuleText& entry, const Rule& rule, List list) {
  if (list == List::deny && (rule.max_bytes || rule.max_connections)) {
    return contradiction(entry, "a deny rule has nothing to cap", "remove maxBytes and maxConnections");
  }
  if (list == List::passthrough && rule.needs_request()) {
    return contradiction(entry, "the requests of a passthrough host are never read", "remove methods and paths");
  }
  return {};
}

template <typename T>
void take_smaller(std::optional<T>& cap, const std::optional<T>& other) {
  if (other && (!cap || *other < *cap)) cap = other;
}

// One rule a meaning: what was written twice has the place of the first and the smaller of its caps.
class RuleSet {
 public:
  void add(Rule rule) {
    const auto found = known_.find(rule.text);
    if (found == known_.end()) {
      known_.emplace(rule.text, rules_.size());
      rules_.push_back(std::move(rule));
      return;
    }
    take_smaller(rules_[found->second].max_bytes, rule.max_bytes);
    take_smaller(rules_[found->second].max_connections, rule.max_connections);
  }

  std::vector<RulePtr> take() {
    std::vector<RulePtr> all;
    all.reserve(rules_.size());
    for (Rule& rule : rules_) all.push_back(std::make_shared<const Rule>(std::move(rule)));
    return all;
  }

 private:
  std::vector<Rule> rules_;
  std::unordered_map<std::string, std::size_t> known_;
};

Result<RuleIndex> compile_list(const std::vector<RuleText>& entries, List list) {
  RuleSet rules;
  for (const RuleText& entry : entries) {
    auto rule = parse_rule(entry);
    if (!rule) return fail(rule.error());
    if (Status fits = check_fit(entry, *rule, list); !fits) return fail(fits.error());
    rules.add(std::move(*rule));
  }
  return RuleIndex(rules.take());
}

Status check_mode(const PolicyText& text) {
  if (text.mode != Mode::off) return {};
  constexpr const char* kRemedy = "use mode broker or mitm, or remove it";
  if (!text.deny.empty()) return contradiction(text.deny[0], "mode off denies nothing", kRemedy);
  if (text.lock_allowlist) return fail(ErrorKind::usage, "egress: mode off locks nothing", kRemedy);
  if (text.observe) return fail(ErrorKind::usage, "egress: mode off observes nothing", kRemedy);
  return {};
}

}  // namespace

std::vector<RuleText>& PolicyText::list(List which) {
  if (which == List::deny) return deny;
  return which == List::allow ? allow : passthrough;
}

const std::vector<RuleText>& PolicyText::list(List which) const { return const_cast<PolicyText*>(this)->list(which); }

bool may_intercept(const PolicyText& text) {
  const auto on_requests = [](const RuleText& rule) { return !rule.methods.empty() || !rule.paths.empty(); };
  if (text.mode == Mode::off) return false;
  return text.mode == Mode::mitm || std::ranges::any_of(text.allow, on_requests) ||
         std::ranges::any_of(text.deny, on_requests);
}

Result<Policy> Policy::compile(const PolicyText& text) {
  if (Status consistent = check_mode(text); !consistent) return fail(consistent.error());
  Policy policy;
  policy.mode_ = text.mode;
  policy.lock_allowlist_ = text.lock_allowlist;
  policy.observe_ = text.observe;
  policy.caps_ = text.caps;
  for (const List list : kLists) {
    auto index = compile_list(text.list(list), list);
    if (!index) return fail(index.error());
    policy.lists_[static_cast<std::size_t>(list)] = std::move(*index);
  }
  return policy;
}

Result<PolicyText> with_rule(const PolicyText& text, List list, const RuleText& entry) {
  const auto rule = parse_rule(entry);
  if (!rule) return fail(rule.error());
  if (Status fits = check_fit(entry, *rule, list); !fits) return fail(fits.error());
  PolicyText changed = text;
  std::vector<RuleText>& entries = changed.list(list);
  const auto same = std::ranges::find_if(entries, [&](const RuleText& other) {
    const auto parsed = parse_rule(other);
    return parsed && parsed->text == rule->text;
  });
  if (same == entries.end()) entries.push_back(entry);
  else if (entry.max_bytes || entry.max_connections) *same = entry;
  if (Status consistent = check_mode(changed); !consistent) return fail(consistent.error());
  return changed;
}

Result<PolicyText> without_rule(const PolicyText& text, const RuleText& entry) {
  const auto rule = parse_rule(entry);
  if (!rule) return fail(rule.error());
  PolicyText changed = text;
  std::size_t removed = 0;
  for (const List list : kLists) {
    removed += std::erase_if(changed.list(list), [&](const RuleText& other) {
      const auto parsed = parse_rule(other);
      return parsed && parsed->text == rule->text;
    });
  }
  if (removed != 0) return changed;
  return fail(ErrorKind::not_found, fmt::format("no list has the egress rule \"{}\"", rule->text),
              "see the rules with `microagent egress list NAME`");
}

}  // namespace microagent::policy

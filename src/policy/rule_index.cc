#include "policy/rule_index.h"

#include <algorithm>
#include <functional>
#include <tuple>

#include "policy/host.h"

namespace microagent::policy {
namespace {

bool before(const RulePtr& a, const RulePtr& b) {
  const auto key = [](const Rule& rule) {
    return std::tie(rule.kind, rule.name, rule.destination.base, rule.destination.length);
  };
  if (!same_place(*a, *b)) return key(*a) < key(*b);
  return !a->ports.empty() && b->ports.empty();
}

}  // namespace

bool same_place(const Rule& a, const Rule& b) {
  return a.kind == b.kind && a.name == b.name && a.destination == b.destination;
}

std::size_t RuleIndex::AddressHash::operator()(const Address& address) const {
  const auto* bytes = reinterpret_cast<const char*>(address.bytes.data());
  return std::hash<std::string_view>()(std::string_view(bytes, address.bytes.size()));
}

RuleIndex::RuleIndex(std::vector<RulePtr> rules) : rules_(std::move(rules)) {
  std::ranges::stable_sort(rules_, before);
  for (std::uint32_t begin = 0; begin < rules_.size();) {
    std::uint32_t end = begin + 1;
    while (end < rules_.size() && same_place(*rules_[begin], *rules_[end])) ++end;
    add(*rules_[begin], {begin, end - begin});
    begin = end;
  }
  for (auto& family : lengths_) std::ranges::sort(family, std::greater<>(), &Length::bits);
}

void RuleIndex::add(const Rule& place, Slice slice) {
  if (place.kind == Rule::Kind::prefix) {
    prefixes_of(place.destination).emplace(place.destination.base, slice);
  } else {
    names_of(place.kind).emplace(place.name, slice);
  }
}

RuleIndex::Names& RuleIndex::names_of(Rule::Kind kind) {
  if (kind == Rule::Kind::wildcard) return wildcards_;
  return kind == Rule::Kind::suffix ? suffixes_ : names_;
}

RuleIndex::Prefixes& RuleIndex::prefixes_of(const Cidr& cidr) {
  auto& family = lengths_[static_cast<std::size_t>(cidr.base.family)];
  const auto found = std::ranges::find(family, cidr.length, &Length::bits);
  if (found != family.end()) return found->prefixes;
  return family.emplace_back(Length{cidr.length, {}}).prefixes;
}

template <typename Wanted>
void RuleIndex::collect(const Names& names, std::string_view name, const Wanted& wanted,
                        std::vector<RulePtr>& found) const {
  const auto slice = names.find(name);
  if (slice == names.end()) return;
  for (const RulePtr& rule : std::span(rules_).subspan(slice->second.begin, slice->second.count)) {
    if (wanted(*rule)) found.push_back(rule);
  }
}

template <typename Wanted>
std::vector<RulePtr> RuleIndex::find_name_if(std::string_view name, const Wanted& wanted) const {
  std::vector<RulePtr> found;
  collect(names_, name, wanted, found);
  collect(wildcards_, parent_name(name), wanted, found);
  if (suffixes_.empty()) return found;
  for (std::string_view rest = name; !rest.empty(); rest = parent_name(rest)) collect(suffixes_, rest, wanted, found);
  return found;
}

std::vector<RulePtr> RuleIndex::find_name(std::string_view name, std::optional<std::uint16_t> port) const {
  return find_name_if(name, [&](const Rule& rule) { return rule.matches_port(port); });
}

std::vector<RulePtr> RuleIndex::find_name(std::string_view name) const {
  return find_name_if(name, [](const Rule&) { return true; });
}

std::vector<RulePtr> RuleIndex::find_address(const Address& address, std::optional<std::uint16_t> port) const {
  std::vector<RulePtr> found;
  for (const Length& length : lengths_[static_cast<std::size_t>(address.family)]) {
    const auto slice = length.prefixes.find(network_of(address, length.bits).base);
    if (slice == length.prefixes.end()) continue;
    for (const RulePtr& rule : std::span(rules_).subspan(slice->second.begin, slice->second.count)) {
      if (rule->matches_port(port)) found.push_back(rule);
    }
  }
  return found;
}

}  // namespace microagent::policy

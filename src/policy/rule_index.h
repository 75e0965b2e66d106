#pragma once

// The rules of one list, found in a time that does not depend on how many there are: names by hash, suffixes by one
// hash a label, prefixes by one hash a prefix length that occurs.

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/rule.h"

namespace microagent::policy {

class RuleIndex {
 public:
  RuleIndex() = default;
  explicit RuleIndex(std::vector<RulePtr> rules);

  // The rules that stand at the most specific place that matches: the name itself, then its wildcard, then its suffixes
  // from the longest; behind each other, those with ports first. Empty when there is none for this port. `name` must be
  // canonical.
  std::vector<RulePtr> find_name(std::string_view name, std::optional<std::uint16_t> port) const;
  // The same by prefix, the longest first.
  std::vector<RulePtr> find_address(const Address& address, std::optional<std::uint16_t> port) const;
  // Whether any rule, for whatever port or request, names this name; the most specific one.
  RulePtr find_name_for_any_port(std::string_view name) const;

  std::size_t size() const { return rules_.size(); }
  std::span<const RulePtr> rules() const { return rules_; }

 private:
  struct Slice {
    std::uint32_t begin = 0, count = 0;
  };
  struct AddressHash {
    std::size_t operator()(const Address& address) const;
  };
  using Names = std::unordered_map<std::string_view, Slice>;
  using Prefixes = std::unordered_map<Address, Slice, AddressHash>;
  struct Length {
    std::uint8_t bits = 0;
    Prefixes prefixes;
  };

  void add(std::uint32_t begin, std::uint32_t count);
  const Slice* find(const Names& names, std::string_view name) const;
  std::vector<RulePtr> with_port(const Slice& slice, std::optional<std::uint16_t> port) const;
  // Calls `visit` with each slice that matches the name, the most specific first, until it returns true.
  void visit_name(std::string_view name, const std::function<bool(const Slice&)>& visit) const;

  std::vector<RulePtr> rules_;  // sorted so that the rules of one place stand together
  Names names_, wildcards_, suffixes_;
  std::array<std::vector<Length>, 2> lengths_;  // by family, the longest first
};

}  // namespace microagent::policy

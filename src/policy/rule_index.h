#pragma once

// The rules of one list, found in a time that does not depend on how many there are: names by hash, suffixes by one
// hash a label, prefixes by one hash a prefix length that occurs.

#include <array>
#include <cstdint>
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

  // The rules that match the name and the port, the most specific first: the name itself, its wildcard, its suffixes
  // from the longest; at each of these places, those with ports before those without. `name` must be canonical.
  std::vector<RulePtr> find_name(std::string_view name, std::optional<std::uint16_t> port) const;
  // The same by prefix, the longest first.
  std::vector<RulePtr> find_address(const Address& address, std::optional<std::uint16_t> port) const;
  // Whatever their ports.
  std::vector<RulePtr> find_name(std::string_view name) const;

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

  void add(const Rule& place, Slice slice);
  Names& names_of(Rule::Kind kind);
  Prefixes& prefixes_of(const Cidr& cidr);
  // Adds the rules of the place to `found` that `wanted` takes.
  template <typename Wanted>
  void collect(const Names& names, std::string_view name, const Wanted& wanted, std::vector<RulePtr>& found) const;
  template <typename Wanted>
  std::vector<RulePtr> find_name_if(std::string_view name, const Wanted& wanted) const;

  std::vector<RulePtr> rules_;  // sorted so that the rules of one place stand together
  Names names_, wildcards_, suffixes_;
  std::array<std::vector<Length>, 2> lengths_;  // by family, the longest first
};

// Whether both stand at the same place: the same name in the same form, or the same prefix.
bool same_place(const Rule& a, const Rule& b);

}  // namespace microagent::policy

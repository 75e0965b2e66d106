#pragma once

// Which names the workspace's own DNS answers gave which address for.

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dns/records.h"
#include "policy/address.h"

namespace microagent::dns {

using Time = std::chrono::steady_clock::time_point;

// A name stays with an address for the answer's time to live, at least kMinBinding (a client that was told 0 seconds
// still connects), and for as long as flows pin the address. Bounded: where there are too many, those that would end
// first go first, the pinned excepted.
class NameTable {
 public:
  static constexpr std::size_t kMaxAddresses = 16'384;
  static constexpr std::size_t kMaxNames = 32;  // of one address
  static constexpr std::chrono::seconds kMinBinding{60};

  void bind(const Bindings& bindings, Time now);

  // Those told last first.
  std::vector<std::string> names_of(const policy::Address& address, Time now) const;

  // A flow to the address lives: its names stay. Every pin needs its unpin().
  void pin(const policy::Address& address);
  void unpin(const policy::Address& address);

  std::size_t size() const { return entries_.size(); }

 private:
  struct Named {
    std::string name;
    Time until;
  };
  struct Entry {
    std::vector<Named> names;  // those told last first
    std::size_t pins = 0;
    Time until;  // the last of them
  };
  using Entries = std::map<policy::Address, Entry>;

  void bind_one(Entry& entry, const std::string& name, Time until);
  void forget_ended(Entry& entry, Time now) const;
  void make_room(Time now);
  void queue(const policy::Address& address, const Entry& entry);
  void unqueue(const policy::Address& address, const Entry& entry);

  Entries entries_;
  std::set<std::pair<Time, policy::Address>> ends_;  // of the entries that are not pinned
};

// Holds a pin for as long as it lives. The table must outlive it.
class Pin {
 public:
  Pin() = default;
  Pin(NameTable& table, const policy::Address& address) : table_(&table), address_(address) { table.pin(address); }
  Pin(Pin&& other) noexcept : table_(std::exchange(other.table_, nullptr)), address_(other.address_) {}
  Pin& operator=(Pin&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(address_, other.address_);
    return *this;
  }
  ~Pin() {
    if (table_ != nullptr) table_->unpin(address_);
  }

 private:
  NameTable* table_ = nullptr;
  policy::Address address_;
};

}  // namespace microagent::dns

#pragma once

// Answers that were given, for as long as they say they hold.

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dns/message.h"
#include "dns/name_table.h"
#include "dns/records.h"

namespace microagent::dns {

class Cache {
 public:
  struct Limits {
    std::size_t entries = 10'000;
    std::size_t bytes = 16 * 1024 * 1024;
  };
  Cache() = default;
  explicit Cache(Limits limits) : limits_(limits) {}

  // Keeps the answer that the digest was made of, if it may be kept. Where there is no room, what was asked for longest
  // ago goes.
  void store(const Query& query, const Bytes& answer, const Digest& digest, Time now);

  struct Hit {
    Bytes answer;  // with the times to live that are left; for deliver()
    const Bindings* bindings = nullptr;
    std::chrono::seconds age{};
  };
  // An answer to the same question, asked with the same bits; valid until the next store().
  std::optional<Hit> find(const Query& query, Time now);

  std::size_t entries() const { return entries_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    Bytes answer;
    std::vector<std::size_t> ttl_places;
    Bindings bindings;
    Time stored, until;
  };
  using Entries = std::list<Entry>;  // what was asked for last stands first

  static std::size_t size_of(const Entry& entry);
  void drop(Entries::iterator entry);

  Limits limits_;
  Entries entries_;
  std::map<std::string, Entries::iterator, std::less<>> by_key_;
  std::size_t bytes_ = 0;
};

}  // namespace microagent::dns

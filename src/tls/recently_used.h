#pragma once

// A map by name of bounded size: what was not used for the longest time makes room.

#include <list>
#include <string>
#include <unordered_map>
#include <utility>

namespace microagent::tls {

template <typename Value>
class RecentlyUsed {
 public:
  explicit RecentlyUsed(std::size_t limit) : limit_(limit) {}

  // Borrowed until the next call; null where there is none.
  Value* find(const std::string& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &entries_.front().second;
  }

  // The value under the key, made where there is none.
  Value& obtain(const std::string& key) {
    if (Value* known = find(key)) return *known;
    entries_.emplace_front(key, Value{});
    by_key_[key] = entries_.begin();
    if (entries_.size() > limit_) {
      by_key_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return entries_.front().second;
  }

  void erase(const std::string& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    entries_.erase(found->second);
    by_key_.erase(found);
  }

  std::size_t size() const { return entries_.size(); }

 private:
  using Entries = std::list<std::pair<std::string, Value>>;
  std::size_t limit_;
  Entries entries_;
  std::unordered_map<std::string, typename Entries::iterator> by_key_;
};

}  // namespace microagent::tls

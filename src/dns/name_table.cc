#include "dns/name_table.h"

#include <algorithm>

#include "base/check.h"

namespace microagent::dns {

void NameTable::bind(const Bindings& bindings, Time now) {
  if (bindings.names.empty()) return;
  const Time until = now + std::max<std::chrono::seconds>(kMinBinding, std::chrono::seconds(bindings.ttl));
  for (const policy::Address& told : bindings.addresses) {
    const policy::Address address = policy::unmapped(told);
    const auto [found, is_new] = entries_.try_emplace(address);
    Entry& entry = found->second;
    if (!is_new) unqueue(address, entry);
    if (entry.pins == 0) forget_ended(entry, now);
    // The last one told is to stand first.
    for (const std::string& name : bindings.names) bind_one(entry, name, until);
    entry.until = std::max(entry.until, until);
    queue(address, entry);
  }
  make_room(now);
}

std::vector<std::string> NameTable::names_of(const policy::Address& address, Time now) const {
  std::vector<std::string> names;
  const auto entry = entries_.find(policy::unmapped(address));
  if (entry == entries_.end()) return names;
  for (const Named& named : entry->second.names) {
    if (named.until > now || entry->second.pins > 0) names.push_back(named.name);
  }
  return names;
}

void NameTable::pin(const policy::Address& address) {
  const auto [found, is_new] = entries_.try_emplace(policy::unmapped(address));
  if (!is_new) unqueue(found->first, found->second);
  ++found->second.pins;
}

void NameTable::unpin(const policy::Address& address) {
  const auto found = entries_.find(policy::unmapped(address));
  MICROAGENT_CHECK(found != entries_.end() && found->second.pins > 0);
  --found->second.pins;
  if (found->second.pins > 0) return;
  if (found->second.names.empty()) {
    entries_.erase(found);
  } else {
    queue(found->first, found->second);
  }
}

void NameTable::bind_one(Entry& entry, const std::string& name, Time until) {
  const auto known = std::ranges::find(entry.names, name, &Named::name);
  if (known != entry.names.end()) {
    known->until = std::max(known->until, until);
    std::rotate(entry.names.begin(), known, known + 1);
    return;
  }
  if (entry.names.size() >= kMaxNames) entry.names.pop_back();
  entry.names.insert(entry.names.begin(), Named{name, until});
}

void NameTable::forget_ended(Entry& entry, Time now) const {
  std::erase_if(entry.names, [now](const Named& named) { return named.until <= now; });
}

void NameTable::make_room(Time now) {
  while (!ends_.empty() && (entries_.size() > kMaxAddresses || ends_.begin()->first <= now)) {
    entries_.erase(ends_.begin()->second);
    ends_.erase(ends_.begin());
  }
}

void NameTable::queue(const policy::Address& address, const Entry& entry) {
  if (entry.pins == 0) ends_.emplace(entry.until, address);
}

void NameTable::unqueue(const policy::Address& address, const Entry& entry) {
  if (entry.pins == 0) ends_.erase({entry.until, address});
}

}  // namespace microagent::dns

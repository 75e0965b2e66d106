#include "dns/cache.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace microagent::dns {
namespace {

// What an entry costs beside what is counted: list and map nodes, and the heads of its vectors.
constexpr std::size_t kOverhead = 320;

// Everything of a query that changes the answer; no part of it is left to how a guest spells a name.
std::string key_of(const Query& query) {
  std::string key;
  key.reserve(query.question.name.size() + 3);
  for (const std::uint8_t byte : query.question.name) {
    key.push_back(static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte));
  }
  const unsigned bits = unsigned{query.edns} | unsigned{query.dnssec_ok} << 1 | unsigned{query.checking_disabled} << 2 |
                        unsigned{query.authentic_data} << 3;
  key.push_back(static_cast<char>(query.question.type >> 8));
  key.push_back(static_cast<char>(query.question.type));
  key.push_back(static_cast<char>(bits));
  return key;
}

void age_records(Bytes& answer, const std::vector<std::size_t>& places, std::uint32_t seconds) {
  for (const std::size_t place : places) {
    be32 ttl;
    MICROAGENT_CHECK(Reader(ByteView(answer).subspan(place)).read(ttl));
    const be32 left(ttl > seconds ? ttl - seconds : 0);
    std::ranges::copy(bytes_of(left), answer.begin() + static_cast<std::ptrdiff_t>(place));
  }
}

}  // namespace

void Cache::store(const Query& query, const Bytes& answer, const Digest& digest, Time now) {
  // Without RD a resolver tells what it happens to know, which is no answer for others.
  if (!digest.keep || *digest.keep == 0 || !query.recursion_desired) return;
  std::string key = key_of(query);
  if (const auto known = by_key_.find(key); known != by_key_.end()) drop(known->second);
  Entry entry{std::move(key),  answer, ttl_places(answer),
              digest.bindings, now,    now + std::chrono::seconds(*digest.keep)};
  if (size_of(entry) > limits_.bytes / 4) return;

  bytes_ += size_of(entry);
  entries_.push_front(std::move(entry));
  by_key_.emplace(entries_.front().key, entries_.begin());
  while (entries_.size() > limits_.entries || bytes_ > limits_.bytes) drop(std::prev(entries_.end()));
}

std::optional<Cache::Hit> Cache::find(const Query& query, Time now) {
  if (!query.recursion_desired) return std::nullopt;
  const auto known = by_key_.find(key_of(query));
  if (known == by_key_.end()) return std::nullopt;
  const Entries::iterator entry = known->second;
  if (entry->until <= now) {
    drop(entry);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - entry->stored);
  Hit hit{entry->answer, &entry->bindings, age};
  age_records(hit.answer, entry->ttl_places, static_cast<std::uint32_t>(age.count()));
  return hit;
}

std::size_t Cache::size_of(const Entry& entry) {
  std::size_t size = kOverhead + 2 * entry.key.size() + entry.answer.size();
  size += entry.ttl_places.size() * sizeof(std::size_t) + entry.bindings.addresses.size() * sizeof(policy::Address);
  for (const std::string& name : entry.bindings.names) size += sizeof name + name.size();
  return size;
}

void Cache::drop(Entries::iterator entry) {
  bytes_ -= size_of(*entry);
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace microagent::dns

#pragma once

// What becomes of a guest's query, but for the sockets: cache, bindings and the answer that the guest is told.
//
//   auto parsed = parse_query(message);                        // else encode_fault()
//   if the policy says no: refuse(query, decision, id)         // nobody is asked
//   else if (auto reply = forwarder.from_cache(query, ...))    // send it
//   else Lookup lookup(query, ...); ask as lookup.h says; send forwarder.conclude(lookup, now)

#include <optional>
#include <string_view>

#include "dns/cache.h"
#include "dns/lookup.h"
#include "dns/message.h"
#include "dns/name_table.h"
#include "policy/decision.h"

namespace microagent::dns {

class Forwarder {
 public:
  explicit Forwarder(Cache::Limits limits = {}) : cache_(limits) {}

  // The whole reply, where the answer is known. Its names are bound anew.
  std::optional<Bytes> from_cache(const Query& query, Transport asked_over, Time now);

  // The whole reply to a lookup that has come to its end, settled or not. A settled one is kept and its names bound.
  Bytes conclude(const Lookup& lookup, Time now);

  NameTable& names() { return names_; }
  const Cache& cache() const { return cache_; }

 private:
  Cache cache_;
  NameTable names_;
};

// The reply to a lookup that the policy denied: REFUSED with an extended error, whose text names the decision.
Bytes refuse(const Query& query, const policy::Decision& decision, std::string_view decision_id);

}  // namespace microagent::dns

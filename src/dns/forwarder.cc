#include "dns/forwarder.h"

#include <fmt/format.h>

namespace microagent::dns {

std::optional<Bytes> Forwarder::from_cache(const Query& query, Transport asked_over, Time now) {
  auto hit = cache_.find(query, now);
  if (!hit) return std::nullopt;
  Bindings bindings = *hit->bindings;
  const auto age = static_cast<std::uint32_t>(hit->age.count());
  bindings.ttl = bindings.ttl > age ? bindings.ttl - age : 0;
  names_.bind(bindings, now);
  return deliver(query, std::move(hit->answer), asked_over == Transport::udp);
}

Bytes Forwarder::conclude(const Lookup& lookup, Time now) {
  if (const Digest* digest = lookup.digest()) {
    cache_.store(lookup.query(), lookup.answer(), *digest, now);
    names_.bind(digest->bindings, now);
  }
  return lookup.reply();
}

Bytes refuse(const Query& query, const policy::Decision& decision, std::string_view decision_id) {
  const bool locked = decision.reason == policy::Reason::not_listed;
  const ErrorCode code = locked ? ErrorCode::prohibited : ErrorCode::blocked;
  return encode_answer(query, Rcode::refused, ExtendedError{code, fmt::format("{} [{}]", decision.text, decision_id)});
}

}  // namespace microagent::dns

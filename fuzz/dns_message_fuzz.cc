// Queries of guests, answers of anybody, and everything between them: what is taken can be answered, kept and told, and
// no key for Encrypted ClientHello leaves.

#include <array>
#include <chrono>

#include "base/check.h"
#include "dns/forwarder.h"
#include "dns/names.h"
#include "dns/service_parameters.h"

namespace microagent::dns {
namespace {

const Time kNow{};

void run_query(ByteView message) {
  const ParsedQuery parsed = parse_query(message);
  if (!parsed.query) {
    encode_fault(message, parsed.fault);
    return;
  }
  const Query& query = *parsed.query;
  const Bytes asked = encode_query(query, 7);
  const ParsedQuery again = parse_query(asked);
  MICROAGENT_CHECK(again.query && encode_query(*again.query, 7) == asked);
  const Bytes refused = encode_answer(query, Rcode::refused, ExtendedError{ErrorCode::blocked, "rule"});
  MICROAGENT_CHECK(parse_answer(refused, query.id, query.question));
  MICROAGENT_CHECK(refused.size() <= query.udp_limit);
  for (const char c : name_text(query.question.name)) MICROAGENT_CHECK(c > ' ' && c <= '~');
}

void check_told(const Query& query, const Bytes& reply) {
  MICROAGENT_CHECK(parse_answer(reply, query.id, query.question));
  MICROAGENT_CHECK(reply.size() <= query.udp_limit);
}

// The message as the answer to the question that it claims to answer.
void run_answer(ByteView message) {
  Bytes as_query(message.begin(), message.end());
  if (as_query.size() < 12) return;
  as_query[2] = 1;                                                    // a query that wants recursion
  for (std::size_t i = 3; i < 12; ++i) as_query[i] = i == 5 ? 1 : 0;  // of one question and nothing else
  // Cut behind the question, wherever that ends.
  std::optional<Query> query;
  for (std::size_t size = 17; !query && size <= as_query.size() && size <= 12 + kMaxName + 4; ++size) {
    query = parse_query(ByteView(as_query).first(size)).query;
  }
  if (!query) return;

  Forwarder forwarder;
  Lookup lookup(*query, Transport::udp, {Resolver{}}, [&] { return id_of(message); });
  while (lookup.next() && lookup.on_answer(message) != Lookup::Outcome::settled) {
  }
  check_told(*query, forwarder.conclude(lookup, kNow));
  if (const Digest* digest = lookup.digest()) {
    const auto twice = examine(lookup.answer(), query->question);
    MICROAGENT_CHECK(twice && !twice->rewritten && twice->keep == digest->keep);
    MICROAGENT_CHECK(twice->bindings.addresses == digest->bindings.addresses);
    for (const policy::Address& address : digest->bindings.addresses) {
      MICROAGENT_CHECK(digest->bindings.names.empty() || !forwarder.names().names_of(address, kNow).empty());
    }
  }
  if (const auto cached = forwarder.from_cache(*query, Transport::udp, kNow + std::chrono::seconds(1))) {
    check_told(*query, *cached);
  }
}

void run_service(ByteView data) {
  address_hints(data);
  const auto stripped = without_ech(data);
  if (stripped) MICROAGENT_CHECK(without_ech(*stripped) == stripped && stripped->size() <= data.size());
}

}  // namespace
}  // namespace microagent::dns

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const microagent::ByteView message(data, size);
  microagent::dns::run_query(message);
  microagent::dns::run_answer(message);
  microagent::dns::run_service(message);
  return 0;
}

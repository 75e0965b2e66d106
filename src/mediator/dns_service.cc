#include "mediator/dns_service.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "base/ascii.h"
#include "dns/names.h"
#include "mediator/dns_conversation.h"
#include "mediator/explanation.h"
#include "mediator/io.h"
#include "mediator/resolver_exchange.h"

namespace microagent::mediator {
namespace {

using policy::Address;

constexpr std::uint32_t kOwnTtl = 60;  // seconds
constexpr DnsService::Asker kOurselves{.transport = dns::Transport::udp};

dns::Time now() { return std::chrono::steady_clock::now(); }

dns::Bytes bytes_of_address(const Address& address) {
  const std::size_t size = address.family == Address::Family::ipv4 ? 4 : 16;
  return {address.bytes.begin(), address.bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

std::uint16_t type_for(const Address& address) {
  return address.family == Address::Family::ipv4 ? dns::kTypeA : dns::kTypeAaaa;
}

// As it is recorded and counted: a guest has many spellings of one name (RFC 4343).
std::string lower_name(const dns::Query& query) { return to_lower_ascii(dns::name_text(query.question.name)); }

}  // namespace

Result<Fd> DnsService::serve(const Asker& asker) {
  const int type = asker.transport == dns::Transport::udp ? SOCK_SEQPACKET : SOCK_STREAM;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail_errno(errno, "cannot make a socket pair");
  }
  Fd ours(ends[0]), guests(ends[1]);
  auto watched = watch(executor_, std::move(ours));
  if (!watched) return fail(watched.error());
  spawn(executor_, serve_on(std::move(*watched), asker));
  return guests;
}

asio::awaitable<void> DnsService::serve_on(Descriptor socket, Asker asker) {
  Answerer answerer = [this, asker](ByteView message) { return answer(asker, message); };
  return converse(std::move(socket), asker.transport, std::move(answerer));
}

std::vector<std::string> DnsService::names_of(const Address& address) {
  return forwarder_.names().names_of(address, now());
}

asio::awaitable<bool> DnsService::resolves_to(std::string name, Address address) {
  dns::Query query = dns::make_query(name, type_for(address));
  if (!answer_from_cache(kOurselves, query)) co_await look_up(kOurselves, std::move(query));
  const auto names = names_of(address);
  co_return std::ranges::find(names, name) != names.end();
}

asio::awaitable<std::vector<Address>> DnsService::addresses_of(std::string name) {
  std::vector<Address> addresses;
  for (const std::uint16_t type : {dns::kTypeA, dns::kTypeAaaa}) {
    const dns::Query query = dns::make_query(name, type);
    Answered reply = answer_from_cache(kOurselves, query);
    if (!reply) reply = co_await look_up(kOurselves, query);
    if (!reply || !dns::parse_answer(*reply, query.id, query.question)) continue;
    const auto digest = dns::examine(*reply, query.question);
    if (!digest) continue;
    addresses.insert(addresses.end(), digest->bindings.addresses.begin(), digest->bindings.addresses.end());
  }
  co_return addresses;
}

DnsService::Answer DnsService::answer(Asker asker, ByteView message) {
  dns::ParsedQuery parsed = dns::parse_query(message);
  if (!parsed.query) {
    record_error(asker, nullptr, {}, "malformed or unsupported query");
    return dns::encode_fault(message, parsed.fault);
  }
  if (auto own = answer_ourselves(*parsed.query)) return own;
  const policy::Decision decision =
      policy::decide_lookup(policy_.policy(), dns::name_text(parsed.query->question.name));
  if (!decision.allowed()) return refuse(asker, *parsed.query, decision);
  asker.would_deny = decision.would_deny;
  if (auto known = answer_from_cache(asker, *parsed.query)) return known;
  return look_up(asker, std::move(*parsed.query));
}

// The name of the policy's page, which nobody else may answer for.
std::optional<dns::Bytes> DnsService::answer_ourselves(const dns::Query& query) const {
  if (!own_address_ || !dns::same_name(query.question.name, dns::wire_name(kPolicyHost))) return std::nullopt;
  std::vector<dns::Bytes> addresses;
  if (query.question.type == type_for(*own_address_)) addresses.push_back(bytes_of_address(*own_address_));
  return dns::encode_addresses(query, addresses, kOwnTtl);
}

// Nobody is asked.
dns::Bytes DnsService::refuse(const Asker& asker, const dns::Query& query, const policy::Decision& decision) {
  Denial denial = denial_of(decision);
  denial.name = decision.host;
  Record record = query_record(audit::Event::dns_deny, asker, query);
  record.fields["reason"] = denial.reason;
  record.fields["rule"] = denial.rule;
  if (!asker.foreign) record.fields["signal"] = denial.signal;
  recorder_.refuse(denial, dns::type_text(query.question.type), "dns", record);
  return dns::refuse(query, decision, denial.id);
}

std::optional<dns::Bytes> DnsService::answer_from_cache(const Asker& asker, const dns::Query& query) {
  auto known = forwarder_.from_cache(query, asker.transport, now());
  if (known && !record_answer(asker, query, "cache")) return dns::encode_answer(query, dns::Rcode::server_failure);
  return known;
}

asio::awaitable<Answered> DnsService::look_up(Asker asker, dns::Query query) {
  if (!co_await take_turn()) {
    record_error(asker, &query, {}, "too many queries at once");
    co_return dns::encode_answer(query, dns::Rcode::server_failure);
  }
  dns::Bytes reply = co_await forward(asker, std::move(query));
  leave_turn();
  co_return reply;
}

asio::awaitable<dns::Bytes> DnsService::forward(Asker asker, dns::Query query) {
  const Deadline ceiling = in(dns::kLookupCeiling);
  dns::Lookup lookup(std::move(query), asker.transport, resolvers_.current(), random_query_id);
  std::string resolver, error = "no resolver is configured";
  bool recorded = false;
  while (const auto attempt = lookup.next()) {
    resolver = dns::to_string(attempt->resolver);
    // A query that cannot be recorded is not asked.
    if (!recorded && !record_answer(asker, lookup.query(), resolver)) co_return forwarder_.conclude(lookup, now());
    recorded = true;
    if (now() >= ceiling) break;
    error = co_await ask_resolver(lookup, *attempt, std::min(ceiling, now() + attempt->timeout));
  }
  if (!lookup.settled()) {
    record_error(asker, &lookup.query(), resolver, error.empty() ? "every resolver failed" : error);
  }
  co_return forwarder_.conclude(lookup, now());
}

// Room among the lookups under way; false when there is none, or none in time.
asio::awaitable<bool> DnsService::take_turn() {
  if (under_way_ < kMaxLookups) {
    ++under_way_;
    co_return true;
  }
  if (waiting_.size() >= kMaxWaiting) co_return false;
  asio::steady_timer turn(executor_, in(dns::kLookupCeiling));
  const auto place = waiting_.insert(waiting_.end(), &turn);
  const auto [ended] = co_await turn.async_wait(kAsTuple);
  if (ended) co_return true;  // leave_turn() has taken us off the list and given us its place
  waiting_.erase(place);
  co_return false;
}

// The one that waits longest has the place that becomes free.
void DnsService::leave_turn() {
  for (auto next = waiting_.begin(); next != waiting_.end(); ++next) {
    if ((*next)->cancel() == 0) continue;  // its time is up, and it will see so itself
    waiting_.erase(next);
    return;
  }
  --under_way_;
}

Record DnsService::query_record(audit::Event event, const Asker& asker, const dns::Query& query) const {
  Record record{event, audit::Fields::object()};
  record.fields["qname"] = lower_name(query);
  record.fields["qtype"] = dns::type_text(query.question.type);
  record.fields["id"] = query.id;
  if (asker.would_deny) record.fields["wouldDeny"] = true;
  if (asker.foreign) record.fields["signal"] = policy::to_string(policy::Signal::foreign_resolver);
  return record;
}

bool DnsService::record_answer(const Asker& asker, const dns::Query& query, const std::string& resolver) {
  const auto make = [&] {
    Record record = query_record(audit::Event::dns_allow, asker, query);
    record.fields["resolver"] = resolver;
    return record;
  };
  if (resolver != "cache") return recorder_.write(asker.audit_flow, make());
  const std::string key = fmt::format("{}\n{}\n{}", lower_name(query), query.question.type, asker.foreign);
  return recorder_.write_or_count(key, asker.audit_flow, make);
}

void DnsService::record_error(const Asker& asker, const dns::Query* query, const std::string& resolver,
                              std::string_view error) {
  Record record{audit::Event::dns_error, audit::Fields::object()};
  if (query != nullptr) record = query_record(audit::Event::dns_error, asker, *query);
  if (!resolver.empty()) record.fields["resolver"] = resolver;
  record.fields["error"] = error;
  recorder_.write(asker.audit_flow, record);
}

}  // namespace microagent::mediator

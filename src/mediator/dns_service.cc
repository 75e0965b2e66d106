#include "mediator/dns_service.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/this_coro.hpp>
#include <cerrno>

#include "base/check.h"
#include "dns/names.h"
#include "mediator/dial.h"
#include "mediator/dns_conversation.h"
#include "mediator/spawn.h"

namespace microagent::mediator {
namespace {

using Lookup = dns::Lookup;

std::uint16_t random_id() {
  std::uint16_t id = 0;
  MICROAGENT_CHECK(::getrandom(&id, sizeof id, 0) == sizeof id);
  return id;
}

asio::awaitable<tl::expected<Descriptor, std::string>> connect(const Lookup::Attempt& attempt, Deadline deadline) {
  const auto protocol = attempt.transport == dns::Transport::udp ? flow::Protocol::udp : flow::Protocol::tcp;
  const dns::Resolver& resolver = attempt.resolver;
  auto socket = co_await dial({protocol, resolver.address, resolver.port, resolver.scope}, deadline);
  if (!socket) co_return tl::unexpected(socket.error().text);
  auto watched = watch(co_await asio::this_coro::executor, std::move(*socket));
  if (!watched) co_return tl::unexpected(watched.error().message);
  co_return std::move(*watched);
}

// Until an answer fits: forged and stray datagrams do not end the wait.
asio::awaitable<bool> exchange_datagrams(Lookup& lookup, Descriptor& socket, const dns::Bytes& message,
                                         Deadline deadline) {
  if (!co_await write_all(socket, message, deadline)) co_return false;
  dns::Bytes packet(dns::kMaxMessage);
  for (;;) {
    const std::size_t size = co_await read_some(socket, packet, deadline);
    if (size == 0) co_return false;
    if (lookup.on_answer(ByteView(packet).first(size)) != Lookup::Outcome::ignored) co_return true;
  }
}

asio::awaitable<bool> exchange_framed(Lookup& lookup, Descriptor& socket, const dns::Bytes& message,
                                      Deadline deadline) {
  const be16 length(static_cast<std::uint16_t>(message.size()));
  dns::Bytes framed(bytes_of(length).begin(), bytes_of(length).end());
  framed.insert(framed.end(), message.begin(), message.end());
  if (!co_await write_all(socket, framed, deadline)) co_return false;

  std::array<std::uint8_t, sizeof(be16)> prefix{};
  if (!co_await read_exactly(socket, prefix, deadline)) co_return false;
  dns::Bytes answer(static_cast<std::size_t>(prefix[0] << 8 | prefix[1]));
  if (!co_await read_exactly(socket, answer, deadline)) co_return false;
  co_return lookup.on_answer(answer) != Lookup::Outcome::ignored;
}

// Asks one resolver once, from a socket and so a port of its own. Empty when it answered, however badly; else what went
// wrong.
asio::awaitable<std::string> ask(Lookup& lookup, const Lookup::Attempt& attempt, Deadline deadline) {
  auto socket = co_await connect(attempt, deadline);
  if (!socket) co_return socket.error();
  bool answered = false;
  if (attempt.transport == dns::Transport::udp) {
    answered = co_await exchange_datagrams(lookup, *socket, attempt.message, deadline);
  } else {
    answered = co_await exchange_framed(lookup, *socket, attempt.message, deadline);
  }
  co_return answered ? "" : "no answer";
}

audit::Fields question_fields(const dns::Query& query) {
  audit::Fields fields = audit::Fields::object();
  fields["qname"] = dns::name_text(query.question.name);
  fields["qtype"] = dns::type_text(query.question.type);
  fields["id"] = query.id;
  return fields;
}

}  // namespace

Result<Fd> DnsService::serve(dns::Transport transport, std::uint64_t audit_flow) {
  const int type = transport == dns::Transport::udp ? SOCK_SEQPACKET : SOCK_STREAM;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail_errno(errno, "cannot make a socket pair");
  }
  Fd ours(ends[0]), guests(ends[1]);
  auto watched = watch(executor_, std::move(ours));
  if (!watched) return fail(watched.error());
  const Asked asked{transport, audit_flow};
  Answerer answerer = [this, asked](dns::Bytes message) { return answer(asked, std::move(message)); };
  spawn(executor_, converse(std::move(*watched), transport, std::move(answerer)));
  return guests;
}

asio::awaitable<std::optional<dns::Bytes>> DnsService::answer(Asked asked, dns::Bytes message) {
  dns::ParsedQuery parsed = dns::parse_query(message);
  if (!parsed.query) {
    record_error(asked, audit::Fields::object(), "malformed or unsupported query");
    co_return dns::encode_fault(message, parsed.fault);
  }
  if (under_way_ >= kMaxQueries) {
    record_error(asked, question_fields(*parsed.query), "too many queries at once");
    co_return dns::encode_answer(*parsed.query, dns::Rcode::server_failure);
  }
  ++under_way_;
  dns::Bytes reply = co_await forward(asked, std::move(*parsed.query));
  --under_way_;
  co_return reply;
}

asio::awaitable<dns::Bytes> DnsService::forward(Asked asked, dns::Query query) {
  const Deadline ceiling = in(dns::kLookupCeiling);
  Lookup lookup(std::move(query), asked.transport, resolvers_.current(), random_id);
  std::string resolver, error = "no resolver is configured";
  bool recorded = false;
  while (const auto attempt = lookup.next()) {
    resolver = dns::to_string(attempt->resolver);
    if (!recorded && !record_query(asked, lookup.query(), resolver)) co_return lookup.reply();
    recorded = true;
    const Deadline now = std::chrono::steady_clock::now();
    if (now >= ceiling) break;
    error = co_await ask(lookup, *attempt, std::min(ceiling, now + attempt->timeout));
  }
  if (!lookup.settled()) {
    audit::Fields fields = question_fields(lookup.query());
    if (!resolver.empty()) fields["resolver"] = resolver;
    record_error(asked, std::move(fields), error.empty() ? "every resolver failed" : error);
  }
  co_return lookup.reply();
}

// A query that cannot be recorded is not asked.
bool DnsService::record_query(const Asked& asked, const dns::Query& query, const std::string& resolver) {
  audit::Fields fields = question_fields(query);
  fields["resolver"] = resolver;
  const Status status = audit_.write(audit::Event::dns_allow, asked.flow, fields);
  if (!status) warnings_.warn(status.error().message);
  return status.has_value();
}

void DnsService::record_error(const Asked& asked, audit::Fields fields, std::string_view error) {
  fields["error"] = error;
  const Status status = audit_.write(audit::Event::dns_error, asked.flow, fields);
  if (!status) warnings_.warn(status.error().message);
}

}  // namespace microagent::mediator

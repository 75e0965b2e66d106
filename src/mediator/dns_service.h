#pragma once

#include <cstdint>

#include "audit/writer.h"
#include "dns/lookup.h"
#include "mediator/io.h"
#include "mediator/log_limit.h"

namespace microagent::mediator {

// Queries of the whole workspace that may be under way at once; beyond it the answer is SERVFAIL.
inline constexpr std::size_t kMaxQueries = 512;

// The guest's resolver: forwards its queries to the host's or the declared resolvers and records each. Must outlive its
// event loop's run.
class DnsService {
 public:
  DnsService(asio::any_io_executor executor, dns::ResolverList resolvers, audit::Writer& audit)
      : executor_(std::move(executor)), resolvers_(std::move(resolvers)), audit_(audit) {}

  // Serves a new flow; the other end of it for netd: a packet socket for UDP, a stream for TCP.
  Result<Fd> serve(dns::Transport transport, std::uint64_t audit_flow);

 private:
  struct Asked {
    dns::Transport transport;
    std::uint64_t flow;  // in the audit log
  };

  asio::awaitable<std::optional<dns::Bytes>> answer(Asked asked, dns::Bytes message);
  asio::awaitable<dns::Bytes> forward(Asked asked, dns::Query query);
  bool record_query(const Asked& asked, const dns::Query& query, const std::string& resolver);
  void record_error(const Asked& asked, audit::Fields fields, std::string_view error);

  asio::any_io_executor executor_;
  dns::ResolverList resolvers_;
  audit::Writer& audit_;
  std::size_t under_way_ = 0;
  LogLimit warnings_;
};

}  // namespace microagent::mediator

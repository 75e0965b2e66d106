#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "dns/forwarder.h"
#include "mediator/dns_conversation.h"
#include "mediator/io.h"
#include "mediator/live_policy.h"
#include "mediator/recorder.h"

namespace microagent::mediator {

// Lookups of the whole workspace that may be under way at once, and those that may wait their turn; beyond both the
// answer is SERVFAIL.
inline constexpr std::size_t kMaxLookups = 1024;
inline constexpr std::size_t kMaxWaiting = 16'384;

// The guest's resolver: judges its queries, answers from the cache, else asks the host's or the declared resolvers, and
// records each. It remembers which names an address was given for. Must outlive its event loop's run.
class DnsService {
 public:
  // `own_address` is what the name of the policy's page is answered with; nothing when isolated.
  DnsService(asio::any_io_executor executor, dns::ResolverList resolvers, Recorder& recorder, const LivePolicy& policy,
             std::optional<policy::Address> own_address)
      : executor_(std::move(executor)),
        resolvers_(std::move(resolvers)),
        recorder_(recorder),
        policy_(policy),
        own_address_(own_address) {}

  // Who asks: one flow.
  struct Asker {
    dns::Transport transport{};
    std::uint64_t audit_flow = 0;
    bool foreign = false;     // it was for another resolver
    bool would_deny = false;  // --observe lets it through
  };

  // Serves a new flow; the other end of it for netd: a packet socket for UDP, a stream for TCP.
  Result<Fd> serve(const Asker& asker);
  // The same over a socket that is there: a datagram socket with one peer, or a stream.
  asio::awaitable<void> serve_on(Descriptor socket, Asker asker);

  // The names that this workspace's answers gave the address for; a pin keeps them.
  std::vector<std::string> names_of(const policy::Address& address);
  dns::Pin pin(const policy::Address& address) { return {forwarder_.names(), address}; }

  // Asks for a canonical name ourselves: whether it has the address now, which binds it; and all it has.
  asio::awaitable<bool> resolves_to(std::string name, policy::Address address);
  asio::awaitable<std::vector<policy::Address>> addresses_of(std::string name);

 private:
  using Answer = std::variant<Answered, asio::awaitable<Answered>>;
  Answer answer(Asker asker, ByteView message);
  std::optional<dns::Bytes> answer_ourselves(const dns::Query& query) const;
  dns::Bytes refuse(const Asker& asker, const dns::Query& query, const policy::Decision& decision);
  std::optional<dns::Bytes> answer_from_cache(const Asker& asker, const dns::Query& query);
  asio::awaitable<Answered> look_up(Asker asker, dns::Query query);
  asio::awaitable<dns::Bytes> forward(Asker asker, dns::Query query);
  asio::awaitable<bool> take_turn();
  void leave_turn();

  Record query_record(audit::Event event, const Asker& asker, const dns::Query& query) const;
  bool record_answer(const Asker& asker, const dns::Query& query, const std::string& resolver);
  void record_error(const Asker& asker, const dns::Query* query, const std::string& resolver, std::string_view error);

  asio::any_io_executor executor_;
  dns::ResolverList resolvers_;
  Recorder& recorder_;
  const LivePolicy& policy_;
  std::optional<policy::Address> own_address_;
  dns::Forwarder forwarder_;
  std::size_t under_way_ = 0;
  std::list<asio::steady_timer*> waiting_;  // in the order they came
};

}  // namespace microagent::mediator

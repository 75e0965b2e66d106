#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "netstack/environment.h"
#include "netstack/host_socket.h"
#include "netstack/packet.h"

namespace microagent::netstack {

// Between whom a conversation is. The echo protocol has one identifier, which is the guest's port.
struct DatagramKey {
  Endpoint guest, remote;
  bool operator==(const DatagramKey&) const = default;
};

// One datagram on its way from the guest to the host.
struct HostDatagram {
  std::array<std::uint8_t, 8> head{};  // what the host's socket wants in front of the payload
  std::size_t head_bytes = 0;
  std::span<const iovec> payload;
  std::size_t payload_bytes = 0;
  std::uint8_t hop_limit = 64;
  bool dont_fragment = false;
};

// Datagrams that wait for the verdict, or, of a flow that was dialled, the first one until the guest has answered.
struct PendingDatagrams {
  struct One {
    HostDatagram datagram;  // without its payload
    std::vector<std::uint8_t> payload;
  };
  std::vector<One> all;
  std::size_t bytes = 0;
};

enum class DatagramState : std::uint8_t {
  free,
  awaiting_verdict,  // its datagrams are kept
  refused,           // for a moment after a verdict: further datagrams are told the same
  live,              // spliced or dialled
};

// How long a flow may stay unused.
enum class Patience : std::uint8_t {
  moment,  // a refused flow: what the guest sends at once is told the same without asking again
  brief,   // a question and its answer: DNS and echo
  usual,   // RFC 4787, 4.3
};
inline constexpr std::size_t kPatiences = 3;

struct DatagramFlow {
  static constexpr std::uint32_t kNobody = ~std::uint32_t{0};

  DatagramState state = DatagramState::free;
  bool dialled = false;
  bool for_ipv6 = false;       // dialled: for a client that speaks IPv6
  bool answered = false;       // the guest has sent something
  bool first_unsent = false;   // dialled: the first datagram has not reached the guest for want of room
  bool awaits_budget = false;  // a datagram of its host was refused
  bool ready = false;          // stands in the queue of those whose host may have something
  FlowId flow = 0;
  BudgetId budget = kNoBudget;
  std::uint64_t token = 0;
  DatagramKey key;
  HostSocket socket;
  std::optional<Refusal> refusal;  // what a refused flow is told; nothing: silence
  std::uint64_t started_ns = 0;
  std::uint64_t used_ns = 0;
  std::uint64_t bytes_out = 0, bytes_in = 0;
  Quote quote;  // of the guest's last datagram
  std::unique_ptr<PendingDatagrams> pending;
  Patience patience{};
  // Neighbours among the flows of equal patience, in the order of last use.
  std::uint32_t older = kNobody, newer = kNobody;
};

}  // namespace microagent::netstack

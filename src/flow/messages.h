#pragma once

// The verdict protocol: what netd (mechanism) says to the mediator and the supervisor (policy, lifecycle), and what
// they answer. AF_UNIX SOCK_SEQPACKET, one message a packet: Header, then the fixed-layout body its type names, then
// the trailing bytes the body counts. Host byte order, since both ends are on one machine. At most one descriptor goes
// with a message, by SCM_RIGHTS. Both ends check version, type and exact size, and end the connection on a mismatch.

#include <array>
#include <cstddef>
#include <cstdint>

namespace microagent::flow {

inline constexpr std::uint16_t kVersion = 1;

// The largest trailing payload of a message: the first datagram of a published UDP conversation.
inline constexpr std::size_t kMaxTrailing = 65'535;

// A flow's number. netd numbers those that the guest opens; the dialling side numbers its own and sets kDialledBit, so
// that the two never meet.
using FlowId = std::uint64_t;
inline constexpr FlowId kDialledBit = FlowId{1} << 63;

enum class Type : std::uint16_t {
  // netd -> mediator
  open = 1,
  closed = 2,  // also netd -> supervisor, for flows the supervisor dialled
  first_bytes = 3,
  usage = 4,
  dropped = 5,
  // mediator -> netd
  verdict = 10,
  kill = 11,
  sever = 12,
  limits = 13,
  // mediator or supervisor -> netd
  dial = 20,
  // supervisor -> netd
  configure = 30,
  attach = 31,
  // netd -> supervisor
  ready = 40,           // sandboxed and serving: the first message
  device_started = 41,  // the guest's driver has set DRIVER_OK
  device_failed = 42,   // a front end left or broke the protocol; trailing text says how
};

enum class Protocol : std::uint8_t { icmp_echo = 1, tcp = 6, udp = 17, vsock = 40 };

enum class Family : std::uint8_t { none = 0, ipv4 = 4, ipv6 = 6, vsock = 40 };

// An address and port. ipv4 uses the first four bytes of `address`, network order. For vsock the first four bytes are
// the CID in host order. For icmp_echo `port` is the echo identifier.
struct Endpoint {
  std::array<std::uint8_t, 16> address{};
  std::uint32_t port = 0;  // host order
  Family family = Family::none;
  std::array<std::uint8_t, 3> reserved{};
  bool operator==(const Endpoint&) const = default;
};
static_assert(sizeof(Endpoint) == 24);

struct Header {
  std::uint16_t version = kVersion;
  Type type{};
  std::uint32_t trailing = 0;  // bytes behind the body
  FlowId flow = 0;             // 0 where the message is about no flow
};
static_assert(sizeof(Header) == 16);

// The guest asks for a flow. Answered by exactly one verdict, or by `peek` and then exactly one other.
struct Open {
  static constexpr Type kType = Type::open;
  Endpoint guest;
  Endpoint destination;
  Protocol protocol{};
  std::uint8_t packets = 0;  // vsock: 1 when the guest's socket keeps messages apart (SOCK_SEQPACKET)
  std::array<std::uint8_t, 6> reserved{};
};

enum class Action : std::uint8_t {
  splice = 1,  // the descriptor that comes along is the other end
  refuse = 2,  // say so to the guest, as `refusal` tells
  drop = 3,    // say nothing
  peek = 4,    // TCP: accept the guest and tell its first bytes; a second verdict follows
};

// How much of a guest's stream is told before its second verdict.
inline constexpr std::size_t kMaxPeek = 16 * 1024;

// What the guest is told. TCP and vsock: reset is RST; the ICMP kinds are sent as type 3 with the code of RFC 792 and
// RFC 1812 (vsock has RST only).
enum class Refusal : std::uint8_t {
  none = 0,
  reset = 1,
  net_unreachable = 2,   // code 0
  host_unreachable = 3,  // code 1
  port_unreachable = 4,  // code 3
  admin_prohibited = 5,  // code 13
};

// What a flow's bytes are charged to. kNoBudget: to nobody (our own services). kWorkspaceBudget: to the workspace. Any
// other number is one the mediator chose, for flows with a ceiling of their own; they are charged to the workspace too.
using BudgetId = std::uint32_t;
inline constexpr BudgetId kNoBudget = 0;
inline constexpr BudgetId kWorkspaceBudget = 1;
inline constexpr std::size_t kMaxBudgets = 1024;

struct Verdict {
  static constexpr Type kType = Type::verdict;
  Action action{};
  Refusal refusal = Refusal::none;
  std::array<std::uint8_t, 2> reserved{};
  BudgetId budget = kNoBudget;  // of a splice
};
static_assert(sizeof(Verdict) == 8);

// What the guest has sent on a flow under `peek`: the trailing bytes follow those of the messages before. netd keeps
// them all, at most kMaxPeek, and sends them first to the descriptor that a splice brings. A guest that gives up while
// it is peeked at ends the flow with `closed`; a verdict that crosses that message is void.
struct FirstBytes {
  static constexpr Type kType = Type::first_bytes;
  std::uint8_t ended = 0;  // 1: the guest sends no more
  std::array<std::uint8_t, 7> reserved{};
};

enum class End : std::uint8_t {
  finished = 1,      // both directions ended in order
  guest_reset = 2,   // the guest sent RST or refused a dialled flow
  host_reset = 3,    // the descriptor failed: reset by the far end
  timed_out = 4,     // nobody answered, or idle for too long
  killed = 5,        // by kill or sever
  refused = 6,       // a dialled flow that the guest refused or never answered
  no_resources = 7,  // flow table full
  capped = 8,        // its budget is spent
};

// The last message about a flow that was spliced or peeked at, or about a dial, successful or not. Never sent for opens
// that were refused at once.
struct Closed {
  static constexpr Type kType = Type::closed;
  std::uint64_t bytes_out = 0;  // guest to host
  std::uint64_t bytes_in = 0;   // host to guest
  std::uint64_t duration_us = 0;
  End end{};
  std::array<std::uint8_t, 7> reserved{};
};

inline constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

// What a budget may spend; sent before the first verdict that names it, and again as it changes. `bytes` counts both
// directions since netd began, so a message that comes late or twice does no harm: where it is reached and `last` is 0
// the budget's flows stand still, and netd sends `usage` to have more; where `last` is 1 they end with End::capped.
// Bytes are charged before they are taken from either side, so the ceiling is never overstepped.
struct Limits {
  static constexpr Type kType = Type::limits;
  BudgetId budget = kNoBudget;
  std::uint8_t last = 0;
  std::array<std::uint8_t, 3> reserved{};
  std::uint64_t bytes = kUnlimited;
  std::uint64_t bytes_per_second = kUnlimited;
};
static_assert(sizeof(Limits) == 24);

// What a budget has spent since netd began. Sent when three quarters of what was last granted are spent, when a flow
// must wait for more, and at most once a second while the numbers change.
struct Usage {
  static constexpr Type kType = Type::usage;
  BudgetId budget = kNoBudget;
  std::array<std::uint8_t, 4> reserved{};
  std::uint64_t bytes_out = 0;  // guest to host
  std::uint64_t bytes_in = 0;   // host to guest
};
static_assert(sizeof(Usage) == 24);

// Packets of the guest that are no flow and were dropped, by IP protocol number; counts since netd began. Sent at most
// once every two seconds for a protocol, while its count changes.
struct Dropped {
  static constexpr Type kType = Type::dropped;
  std::uint8_t ip_protocol = 0;
  std::array<std::uint8_t, 7> reserved{};
  std::uint64_t packets = 0;
};
static_assert(sizeof(Dropped) == 16);

struct Kill {
  static constexpr Type kType = Type::kill;
  std::uint64_t reserved = 0;
};

// End every flow and accept no further one, in either direction, until netd ends.
struct Sever {
  static constexpr Type kType = Type::sever;
  std::uint64_t reserved = 0;
};

// Open a stream or conversation *to* the guest and splice it with the descriptor that comes along: a connected TCP or
// Unix stream socket, or a connected UDP socket with its first datagram as trailing bytes. The flow ends with `closed`.
struct Dial {
  static constexpr Type kType = Type::dial;
  Endpoint peer;  // who really asks, for the record; the guest sees the gateway
  std::uint32_t guest_port = 0;
  Protocol protocol{};  // tcp, udp or vsock
  std::array<std::uint8_t, 3> reserved{};
};

// How the wire looks. Sent once, before attach.
struct Configure {
  static constexpr Type kType = Type::configure;
  std::array<std::uint8_t, 6> guest_mac{};
  std::array<std::uint8_t, 6> gateway_mac{};
  std::array<std::uint8_t, 4> guest_ip{};
  std::array<std::uint8_t, 4> gateway_ip{};
  std::uint8_t prefix_length = 0;
  std::uint8_t dns_count = 0;
  std::uint16_t mtu = 0;
  std::array<std::array<std::uint8_t, 4>, 4> dns{};  // what DHCP tells
  std::uint64_t guest_cid = 0;
  std::array<std::uint8_t, 16> guest_ip6{};
  std::array<std::uint8_t, 16> gateway_ip6{};
  std::uint8_t prefix_length6 = 0;
  std::uint8_t has_ipv6 = 0;
  std::array<std::uint8_t, 6> reserved{};
};

enum class Device : std::uint8_t { net = 1, vsock = 2, tap = 3 };

// What carries a device (the descriptor that comes along): a connected vhost-user front end, or a tap with offloads.
struct Attach {
  static constexpr Type kType = Type::attach;
  Device device{};
  std::array<std::uint8_t, 7> reserved{};
};

struct Ready {
  static constexpr Type kType = Type::ready;
  std::uint64_t reserved = 0;
};

struct DeviceStarted {
  static constexpr Type kType = Type::device_started;
  Device device{};
  std::array<std::uint8_t, 7> reserved{};
};

struct DeviceFailed {
  static constexpr Type kType = Type::device_failed;
  Device device{};
  std::array<std::uint8_t, 7> reserved{};
};

}  // namespace microagent::flow

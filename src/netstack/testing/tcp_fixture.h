#pragma once

// A make-believe guest that speaks TCP to a TcpFlows, segment by segment: "send this segment, expect that one, advance
// the clock". The host's end of every connection is a real socket, so that the kernel's semantics are real.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "netstack/tcp_flows.h"
#include "netstack/testing/test_environment.h"
#include "wire/tcp.h"

namespace microagent::netstack::testing {

inline constexpr std::uint8_t kFin = wire::kTcpFin, kSyn = wire::kTcpSyn, kRst = wire::kTcpRst, kPsh = wire::kTcpPsh,
                              kAck = wire::kTcpAck, kUrg = wire::kTcpUrg;
inline constexpr std::uint64_t kMs = 1'000'000, kSec = 1'000'000'000;
inline constexpr std::uint32_t kMss = 1460;

using Random = std::independent_bits_engine<std::mt19937, 32, std::uint32_t>;

// A segment of either side. `seq` counts from its sender's initial sequence number, `ack` from the other side's.
struct Segment {
  std::uint8_t flags = kAck;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint16_t window = 8192;  // as it stands in the header
  wire::TcpOptions options{};
  Bytes data{};
  std::uint16_t urgent = 0;
  Offload offload{};  // of a seen one

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  // Without PSH, which means nothing to us.
  std::uint8_t kind() const { return flags & static_cast<std::uint8_t>(~kPsh); }
  std::uint32_t end() const {
    return seq + static_cast<std::uint32_t>(data.size()) + (has(kSyn) ? 1U : 0U) + (has(kFin) ? 1U : 0U);
  }
};

// What a Linux guest offers, timestamps left out so that tests can count in whole segments.
wire::TcpOptions guest_options();

// Two connected nonblocking sockets.
struct SocketPair {
  Fd ours, host;
};
SocketPair make_tcp_pair();
SocketPair make_unix_pair();

class TcpFixture : public ::testing::Test, protected TestEnvironment {
 protected:
  TcpFixture();
  // A new table, after a test has changed `config`.
  void restart();

  // ---- The guest's wire ----
  // Gives the segment to the table; `flush` ends the batch.
  void send(const Segment& segment, bool flush = true);
  // Everything sent to the guest since the last call. A frame that Linux would drop is a failure, and so is one of
  // another connection.
  std::vector<Segment> seen();
  Segment only();
  Segment last();
  void expect_silence() { EXPECT_EQ(seen().size(), 0U); }
  // One empty segment that acknowledges so much.
  Segment expect_ack(std::uint32_t ack);
  void give_room(std::optional<std::size_t> frames);
  void flush() { flows->flush(); }

  // ---- Connections ----
  // Another connection of the guest's from here on.
  void use(Endpoint guest_end, Endpoint server_end);
  void next_port() { use({guest.address, static_cast<std::uint16_t>(guest.port + 1)}, server); }
  void send_syn(const wire::TcpOptions& options = guest_options());
  // The SYN, and the question that it makes.
  FlowId open(const wire::TcpOptions& options = guest_options());
  // A spliced connection; `host` is the far end.
  FlowId establish(const wire::TcpOptions& options = guest_options());
  FlowId establish_with(SocketPair pair, const wire::TcpOptions& options = guest_options());
  FlowId establish_unix() { return establish_with(make_unix_pair()); }
  void splice(FlowId flow, SocketPair pair);
  // The SYN|ACK is seen and acknowledged.
  Segment finish_handshake();
  // A flow that is peeked at, its handshake over.
  FlowId establish_peeked(std::size_t limit);
  // A connection that was opened to the guest, up to its SYN.
  Segment dial(FlowId flow, const GuestService& service);
  FlowId establish_dialled();

  // ---- Talk in an established connection; the fixture keeps the numbers ----
  void guest_says(std::string_view text) { guest_says(bytes_of_text(text)); }
  void guest_says(const Bytes& bytes);
  void guest_acks(std::uint32_t ack, std::uint16_t window = 8192);
  void guest_ends();
  // Everything that the host said comes, in order, and is acknowledged.
  Bytes guest_hears();

  // ---- The host ----
  void host_says(std::string_view text) { host_says(bytes_of_text(text)); }
  void host_says(const Bytes& bytes);
  // As much as the host's socket takes; returns how much.
  std::size_t host_writes(ByteView bytes);
  void host_ends();
  void host_resets();
  // Waits until so many bytes have come.
  Bytes host_hears(std::size_t bytes);
  std::string host_hears_text(std::size_t bytes) { return text_of(host_hears(bytes)); }
  // What is there now, at most.
  Bytes host_drains();
  bool host_sees_end();
  bool host_sees_reset();
  // The guest speaks until the host's Unix socket is full, and something of it waits.
  void fill_host();

  // ---- Both ends ----
  // The guest ends first, then the host: the guest is who lingers.
  void close_by_guest_first();
  // The other way round: we linger.
  void close_by_host_first();

  // ---- Events and time ----
  // Delivers what epoll tells at once; `wait` for at least one event.
  void events(bool wait = false);
  void advance(std::uint64_t ns);
  // From deadline to deadline, at most `ns`.
  void run_for(std::uint64_t ns);
  std::uint32_t now_ms() const { return static_cast<std::uint32_t>(environment.now_ns / kMs); }

  End only_end();
  FlowTotals only_totals();

  std::unique_ptr<TcpFlows> flows;
  Endpoint guest{kGuest, 40'000}, server{kServer, 80};
  std::uint32_t guest_isn = 1000, our_isn = 0;
  std::uint32_t guest_next = 1, guest_heard = 1;  // relative
  BudgetId budget = kNoBudget;                    // of the next splice
  bool timestamps = false;                        // on every segment of the guest
  std::uint32_t echo = 0;                         // what it echoes
  std::size_t piece_bytes = 0;                    // how its frames are cut
  Fd host;
  int descriptor = -1;  // ours, as long as it lives

 private:
  void watch_new();
  void take_host(Fd end);

  Fd epoll_;
  std::vector<Fd> earlier_hosts_;
  std::map<int, std::uint64_t> polled_;
};

}  // namespace microagent::netstack::testing

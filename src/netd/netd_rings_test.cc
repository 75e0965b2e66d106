// Rings that their driver breaks: each is stopped and told about, alone, costs nothing from then on, and runs again as
// soon as it is set up anew. (One ring by itself: virtio/ring_test.cc.)

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>

#include "netd/testing/net_fixture.h"
#include "virtio/testing/vsock_guest.h"
#include "virtio/vsock_device.h"

namespace microagent::netd {
namespace {

using netstack::testing::Bytes;
using testing::kGuest;
using testing::kServer;
using virtio::testing::DriverQueue;
using virtio::testing::FrontEnd;
using virtio::testing::NetGuest;
using virtio::testing::VsockGuest;
using wire::RingDescriptor;

constexpr std::uint16_t kNext = wire::kDescriptorNext, kWrite = wire::kDescriptorWrite,
                        kIndirect = wire::kDescriptorIndirect;
// Beyond those that the driver uses.
constexpr std::uint16_t kFirst = 200, kSecond = 201;

struct Attack {
  const char* name;
  // Breaks the ring, whose descriptors may point at `buffer`, 4 KiB of memory.
  std::function<void(NetGuest&, DriverQueue&, std::uint64_t buffer)> run;
  bool on_transmit = true, on_receive = true;
};

// One descriptor, offered.
Attack one(const char* name, RingDescriptor descriptor, bool on_transmit = true, bool on_receive = true) {
  const auto run = [descriptor](NetGuest&, DriverQueue& queue, std::uint64_t buffer) {
    RingDescriptor out = descriptor;
    if (out.address == 0) out.address = buffer;
    queue.write_descriptor(kFirst, out);
    queue.offer(kFirst);
  };
  return {name, run, on_transmit, on_receive};
}

// A descriptor that is an indirect table, which says this.
Attack indirect(const char* name, RingDescriptor entry) {
  return {name, [entry](NetGuest& guest, DriverQueue& queue, std::uint64_t buffer) {
            RingDescriptor out = entry;
            if (out.address == 0) out.address = buffer + 1024;
            std::memcpy(guest.ram.at(buffer), &out, sizeof out);
            queue.write_descriptor(kFirst, {buffer, sizeof out, kIndirect, 0});
            queue.offer(kFirst);
          }};
}

std::vector<Attack> attacks(bool Attack::*on) {
  std::vector<Attack> all{
      {"HeadOutOfRange", [](NetGuest&, DriverQueue& queue, std::uint64_t) { queue.offer(0xffff); }},
      {"HeadJustOutOfRange", [](NetGuest&, DriverQueue& queue, std::uint64_t) { queue.offer(256); }},
      {"IndexJumps", [](NetGuest&, DriverQueue& queue, std::uint64_t) { queue.set_available_index(9999); }},
      one("PointsAtItself", {0, 64, kNext, kFirst}, true, false),
      one("PointsAtItselfToWrite", {0, 64, kNext | kWrite, kFirst}, false, true),
      one("NextOutOfRange", {0, 64, kNext, 0xffff}),
      one("NextJustOutOfRange", {0, 64, kNext, 256}),
      {"Loop",
       [](NetGuest&, DriverQueue& queue, std::uint64_t buffer) {
         queue.write_descriptor(kFirst, {buffer, 64, kNext, kSecond});
         queue.write_descriptor(kSecond, {buffer, 64, kNext, kFirst});
         queue.offer(kFirst);
       }},
      one("Empty", {0, 0, 0, 0}),
      one("AddressWraps", {~std::uint64_t{0} - 4, 64, 0, 0}),
      one("OutsideMemory", {1ULL << 40, 64, 0, 0}),
      one("OverTheEdge", {(64U << 20) - 8, 64, 0, 0}),
      one("LengthOverMemory", {0, 0xffff'ffff, 0, 0}),
      one("TooShortForItsHeader", {0, 5, 0, 0}, true, false),
      one("TooShortForItsHeaderToWrite", {0, 5, kWrite, 0}, false, true),
      one("ToWriteAmongThoseSent", {0, 64, kWrite, 0}, true, false),
      one("ToReadAmongThoseToReceive", {0, 64, 0, 0}, false, true),
      {"ReadableBehindWritable",
       [](NetGuest&, DriverQueue& queue, std::uint64_t buffer) {
         queue.write_descriptor(kFirst, {buffer, 64, kNext | kWrite, kSecond});
         queue.write_descriptor(kSecond, {buffer, 64, 0, 0});
         queue.offer(kFirst);
       }},
      one("IndirectOddLength", {0, 17, kIndirect, 0}),
      one("IndirectEmpty", {0, 0, kIndirect, 0}),
      one("IndirectHuge", {0, 0xffff'fff0, kIndirect, 0}),
      one("IndirectWithNext", {0, 16, kIndirect | kNext, kSecond}),
      one("IndirectOutsideMemory", {1ULL << 40, 16, kIndirect, 0}),
      indirect("IndirectNested", {0, 16, kIndirect, 0}),
      indirect("IndirectNextOutOfRange", {0, 64, kNext, 7}),
      indirect("IndirectLoop", {0, 64, kNext, 0}),
  };
  std::erase_if(all, [on](const Attack& attack) { return !(attack.*on); });
  return all;
}

void PrintTo(const Attack& attack, std::ostream* out) { *out << attack.name; }

class NetdRingsTest : public testing::NetFixture {
 protected:
  // How much of the next `ms` milliseconds it runs, in parts of 100.
  std::uint64_t busy_percent(unsigned ms) const {
    const std::uint64_t before = cpu_time();
    ::usleep(ms * 1000);
    return (cpu_time() - before) / (std::uint64_t{ms} * 10'000);
  }
  std::uint64_t cpu_time() const {
    std::ifstream file("/proc/" + std::to_string(netd.pid()) + "/schedstat");
    std::uint64_t spent = 0;
    file >> spent;
    return spent;
  }
  static bool comes(int event) {
    pollfd wanted{event, POLLIN, 0};
    return ::poll(&wanted, 1, 5000) == 1;
  }
  // Where the front end hears that the ring is broken.
  Fd watch_errors(std::uint32_t queue) {
    Fd error(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const std::uint64_t word = wire::encode_vhost_vring_fd({static_cast<std::uint8_t>(queue), true});
    front->send_u64(wire::VhostRequest::set_vring_error, word, std::array{error.get()});
    EXPECT_TRUE(front->ask(wire::VhostRequest::get_features));
    return error;
  }
  // What the driver sends arrives.
  void expect_sent() {
    const Bytes frame = netstack::testing::udp_frame({{kGuest, ++port_}, {kServer, 7}}, Bytes(100, 'x'));
    ASSERT_TRUE(guest.offer(frame));
    front->kick(1);
    const auto open = netd.next(netd.mediator());
    ASSERT_TRUE(open && open->as<flow::Open>());
    EXPECT_EQ(open->as<flow::Open>()->guest.port, port_);
    ASSERT_TRUE(netd.mediator().send(open->header.flow, flow::Verdict{.action = flow::Action::drop}));
  }
  // What the host sends arrives.
  void expect_received() {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    const Fd ours(ends[0]), theirs(ends[1]);
    const flow::Dial dial{.guest_port = 4000, .protocol = flow::Protocol::udp};
    const std::array<std::uint8_t, 5> first{'h', 'e', 'l', 'l', 'o'};
    ASSERT_TRUE(netd.supervisor().send(flow::kDialledBit | ++dialled_, dial, theirs.get(), first));
    for (std::vector<NetGuest::Frame> frames; frames.empty(); frames = guest.received()) {
      ASSERT_TRUE(comes(front->call_fd(0))) << "nothing is received";
      front->take_interrupts(0);
    }
    ASSERT_TRUE(netd.supervisor().send(flow::kDialledBit | dialled_, flow::Kill{}));
    const auto closed = netd.next(netd.supervisor());
    ASSERT_TRUE(closed && closed->as<flow::Closed>());
  }
  // A driver that begins anew is served.
  void start_again() {
    front.reset();
    const auto failed = netd.next(netd.supervisor());
    ASSERT_TRUE(failed && failed->as<flow::DeviceFailed>());
    again_.emplace();
    front.emplace(netd.attach(flow::Device::net));
    start(*front, *again_);
    const Bytes frame = netstack::testing::udp_frame({{kGuest, ++port_}, {kServer, 7}}, Bytes(100, 'x'));
    ASSERT_TRUE(again_->offer(frame));
    front->kick(1);
    const auto open = netd.next(netd.mediator());
    ASSERT_TRUE(open && open->as<flow::Open>());
  }

  // Queue 1 carries what the guest sends, queue 0 what it receives.
  void break_queue(const Attack& attack, bool transmit) {
    const std::uint32_t queue = transmit ? 1 : 0;
    const Fd error = watch_errors(queue);
    attack.run(guest, transmit ? guest.tx : guest.rx, guest.ram.allocate(4096));
    if (!transmit) wait_for_receive_attack();
    front->kick(queue);
    EXPECT_TRUE(comes(error.get())) << "nobody is told";
    transmit ? expect_received() : expect_sent();
    for (int i = 0; i < 50; ++i) front->kick(queue);
    EXPECT_LE(busy_percent(100), 5U);
    ASSERT_TRUE(netd.alive());
    start_again();
  }

  // A receive ring is looked at when there is something to receive: the good buffers are used up first.
  void wait_for_receive_attack() {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    flood_.reset(ends[0]);
    const Fd theirs(ends[1]);
    const flow::Dial dial{.guest_port = 4001, .protocol = flow::Protocol::udp};
    const std::array<std::uint8_t, 5> first{'f', 'l', 'o', 'o', 'd'};
    ASSERT_TRUE(netd.supervisor().send(flow::kDialledBit | ++dialled_, dial, theirs.get(), first));
    for (int i = 0; i < 64; ++i) (void)!::send(flood_.get(), first.data(), first.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

 private:
  std::uint16_t port_ = 5000;
  std::uint64_t dialled_ = 0;
  Fd flood_;
  std::optional<NetGuest> again_;
};

class BrokenTransmitRing : public NetdRingsTest, public ::testing::WithParamInterface<Attack> {};
class BrokenReceiveRing : public NetdRingsTest, public ::testing::WithParamInterface<Attack> {};

std::string name_of(const ::testing::TestParamInfo<Attack>& info) { return info.param.name; }

TEST_P(BrokenTransmitRing, StopsAlone) {
  start();
  expect_sent();
  break_queue(GetParam(), true);
}

TEST_P(BrokenReceiveRing, StopsAlone) {
  start();
  expect_received();
  break_queue(GetParam(), false);
}

// The other device's rings are as good as these.
class BrokenVsockRing : public NetdRingsTest, public ::testing::WithParamInterface<RingDescriptor> {};

TEST_P(BrokenVsockRing, StopsAlone) {
  start();
  FrontEnd vsock_front = netd.attach(flow::Device::vsock);
  VsockGuest vsock(testing::NetdProcess::kCid);
  vsock.start(vsock_front, virtio::VsockDevice::profile(wire::VsockConfig{testing::NetdProcess::kCid}).features, 16);
  const auto started = netd.next(netd.supervisor());
  ASSERT_TRUE(started && started->as<flow::DeviceStarted>());
  const Fd error(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  vsock_front.send_u64(wire::VhostRequest::set_vring_error, wire::encode_vhost_vring_fd({1, true}),
                       std::array{error.get()});
  ASSERT_TRUE(vsock_front.ask(wire::VhostRequest::get_features));

  constexpr std::uint16_t kUnused = 100;  // beyond those that the driver uses
  RingDescriptor bad = GetParam();
  if (bad.address == 0) bad.address = vsock.ram.allocate(4096);
  vsock.tx.write_descriptor(kUnused, bad);
  vsock.tx.offer(kUnused);
  vsock_front.kick(1);
  EXPECT_TRUE(comes(error.get())) << "nobody is told";
  expect_sent();
  for (int i = 0; i < 50; ++i) vsock_front.kick(1);
  EXPECT_LE(busy_percent(100), 5U);
  ASSERT_TRUE(netd.alive());
}

INSTANTIATE_TEST_SUITE_P(Every, BrokenVsockRing,
                         ::testing::Values(RingDescriptor{0, 64, kNext, 100}, RingDescriptor{0, 64, kNext, 0xffff},
                                           RingDescriptor{0, 0, 0, 0}, RingDescriptor{~std::uint64_t{0} - 4, 64, 0, 0},
                                           RingDescriptor{1ULL << 40, 64, 0, 0}, RingDescriptor{0, 64, kWrite, 0},
                                           RingDescriptor{0, 17, kIndirect, 0}));
INSTANTIATE_TEST_SUITE_P(Every, BrokenTransmitRing, ::testing::ValuesIn(attacks(&Attack::on_transmit)), name_of);
INSTANTIATE_TEST_SUITE_P(Every, BrokenReceiveRing, ::testing::ValuesIn(attacks(&Attack::on_receive)), name_of);

}  // namespace
}  // namespace microagent::netd

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <fstream>
#include <functional>
#include <string>

#include "netd/testing/netd_process.h"
#include "virtio/net_device.h"
#include "virtio/testing/net_guest.h"
#include "virtio/testing/vsock_guest.h"
#include "virtio/vsock_device.h"

namespace microagent::netd {
namespace {

using testing::NetdProcess;
using virtio::testing::DriverBuffer;
using virtio::testing::FrontEnd;
using virtio::testing::NetGuest;
using virtio::testing::VsockGuest;
using virtio::testing::VsockGuestPacket;
using wire::RingDescriptor;
using wire::VsockOp;

constexpr std::uint32_t kGuestPort = 4000;

class NetdProgramTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(netd.configure()); }

  // A guest on a fresh vsock device.
  void start_vsock() {
    front.emplace(netd.attach(flow::Device::vsock));
    guest.emplace(NetdProcess::kCid);
    const wire::VsockConfig config{NetdProcess::kCid};
    guest->start(*front, virtio::VsockDevice::profile(config).features, 64);
    expect_started(flow::Device::vsock);
  }
  void expect_started(flow::Device device) {
    const auto message = netd.next(netd.supervisor());
    ASSERT_TRUE(message);
    const auto started = message->as<flow::DeviceStarted>();
    ASSERT_TRUE(started);
    EXPECT_EQ(started->device, device);
  }
  void expect_failed(flow::Device device) {
    const auto message = netd.next(netd.supervisor());
    ASSERT_TRUE(message);
    const auto failed = message->as<flow::DeviceFailed>();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->device, device);
    EXPECT_FALSE(message->trailing.empty());
  }

  void send(VsockOp op, std::uint32_t host_port, std::string_view data = {}) {
    wire::VsockHeader header = guest->header(op, kGuestPort, host_port);
    header.length = static_cast<std::uint32_t>(data.size());
    ASSERT_TRUE(guest->offer(header, data));
    if (guest->tx.should_notify()) front->kick(1);
  }
  // The next packet to the guest.
  VsockGuestPacket receive() {
    while (true) {
      auto packets = guest->received();
      if (!packets.empty()) {
        EXPECT_EQ(packets.size(), 1U);
        return packets.front();
      }
      pollfd interrupt{front->call_fd(0), POLLIN, 0};
      if (::poll(&interrupt, 1, 5'000) != 1) {
        ADD_FAILURE() << "no packet";
        return {};
      }
      front->take_interrupts(0);
    }
  }

  // A stream of the guest that the mediator splices; its host's end.
  Fd open_stream(std::uint32_t host_port) {
    send(VsockOp::request, host_port);
    const auto open = netd.next(netd.mediator());
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    Fd ours(ends[0]);
    const Fd theirs(ends[1]);
    if (!open || !open->as<flow::Open>()) return ADD_FAILURE() << "nobody asks", Fd();
    EXPECT_EQ(open->as<flow::Open>()->destination.port, host_port);
    EXPECT_TRUE(netd.mediator().send(open->header.flow, flow::Verdict{flow::Action::splice}, theirs.get()));
    EXPECT_EQ(receive().op(), VsockOp::response);
    return ours;
  }

  // A stream from the guest through the mediator's verdict and back: all parts of netd work.
  void expect_serving(std::uint32_t host_port) {
    const Fd ours = open_stream(host_port);
    ASSERT_EQ(::send(ours.get(), "pong", 4, 0), 4);
    EXPECT_EQ(receive().data, "pong");
    send(VsockOp::rw, host_port, "ping");
    std::array<char, 8> bytes{};
    EXPECT_EQ(::recv(ours.get(), bytes.data(), 4, MSG_WAITALL), 4);
    guest->forwarded += 4;
    send(VsockOp::reset, host_port);
    guest->forwarded = 0;
    const auto closed = netd.next(netd.mediator());
    ASSERT_TRUE(closed && closed->as<flow::Closed>());
    EXPECT_EQ(closed->as<flow::Closed>()->bytes_in, 4U);
    EXPECT_EQ(closed->as<flow::Closed>()->end, flow::End::guest_reset);
  }

  std::string status_line(const std::string& name) {
    std::ifstream status("/proc/" + std::to_string(netd.pid()) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(name + ":")) return line.substr(line.find_last_of(" \t") + 1);
    }
    return {};
  }

  NetdProcess netd{MICROAGENT_NETD};
  std::optional<FrontEnd> front;
  std::optional<VsockGuest> guest;
};

TEST_F(NetdProgramTest, IsSandboxedWhenItSaysReady) {
  EXPECT_EQ(status_line("Seccomp"), "2");
  EXPECT_EQ(status_line("NoNewPrivs"), "1");
}

TEST_F(NetdProgramTest, ServesAGuest) {
  start_vsock();
  expect_serving(1020);
  expect_serving(1020);
}

TEST_F(NetdProgramTest, RefusesAsTheMediatorSays) {
  start_vsock();
  send(VsockOp::request, 7);
  const auto open = netd.next(netd.mediator());
  ASSERT_TRUE(open);
  ASSERT_TRUE(netd.mediator().send(open->header.flow, flow::Verdict{flow::Action::refuse, flow::Refusal::reset}));
  EXPECT_EQ(receive().op(), VsockOp::reset);
}

TEST_F(NetdProgramTest, ASpliceWithoutDescriptorIsARefusal) {
  start_vsock();
  send(VsockOp::request, 7);
  const auto open = netd.next(netd.mediator());
  ASSERT_TRUE(open);
  ASSERT_TRUE(netd.mediator().send(open->header.flow, flow::Verdict{flow::Action::splice}));
  EXPECT_EQ(receive().op(), VsockOp::reset);
}

TEST_F(NetdProgramTest, TellsTheSupervisorHowItsDialEnded) {
  start_vsock();
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  flow::Dial dial;
  dial.guest_port = kGuestPort;
  dial.protocol = flow::Protocol::vsock;
  ASSERT_TRUE(netd.supervisor().send(flow::kDialledBit | 3, dial, theirs.get()));
  const auto request = receive();
  EXPECT_EQ(request.op(), VsockOp::request);
  send(VsockOp::reset, request.header.source_port);
  const auto closed = netd.next(netd.supervisor());
  ASSERT_TRUE(closed && closed->as<flow::Closed>());
  EXPECT_EQ(closed->header.flow, flow::kDialledBit | 3);
  EXPECT_EQ(closed->as<flow::Closed>()->end, flow::End::refused);
}

TEST_F(NetdProgramTest, ADialThatTheGuestNeverAnswersTimesOut) {
  start_vsock();
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  flow::Dial dial;
  dial.guest_port = kGuestPort;
  dial.protocol = flow::Protocol::vsock;
  ASSERT_TRUE(netd.supervisor().send(flow::kDialledBit | 4, dial, theirs.get()));
  const auto closed = netd.next(netd.supervisor());
  ASSERT_TRUE(closed && closed->as<flow::Closed>());
  EXPECT_EQ(closed->as<flow::Closed>()->end, flow::End::timed_out);
}

TEST_F(NetdProgramTest, ADialWithoutADeviceIsClosedAtOnce) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  flow::Dial dial;
  dial.guest_port = kGuestPort;
  dial.protocol = flow::Protocol::vsock;
  ASSERT_TRUE(netd.mediator().send(flow::kDialledBit | 3, dial, theirs.get()));
  const auto closed = netd.next(netd.mediator());
  ASSERT_TRUE(closed && closed->as<flow::Closed>());
  EXPECT_EQ(closed->as<flow::Closed>()->end, flow::End::no_resources);
}

TEST_F(NetdProgramTest, SeveredForGood) {
  start_vsock();
  ASSERT_TRUE(netd.mediator().send(0, flow::Sever{}));
  // The next message on the same socket has been handled after it; the guest's queue is another matter.
  flow::Dial dial;
  dial.protocol = flow::Protocol::vsock;
  ASSERT_TRUE(netd.mediator().send(flow::kDialledBit | 1, dial));
  const auto closed = netd.next(netd.mediator());
  ASSERT_TRUE(closed && closed->as<flow::Closed>());
  EXPECT_EQ(closed->as<flow::Closed>()->end, flow::End::killed);
  send(VsockOp::request, 1020);
  EXPECT_EQ(receive().op(), VsockOp::reset);
}

TEST_F(NetdProgramTest, KeepsTheStreamsOfAGuestThatStandsStill) {
  start_vsock();
  const Fd ours = open_stream(1020);
  front->stop();
  ASSERT_EQ(::send(ours.get(), "late", 4, 0), 4);
  front->go_on();
  expect_started(flow::Device::vsock);
  EXPECT_EQ(receive().data, "late");

  front->stop();
  ASSERT_TRUE(netd.mediator().send(0, flow::Sever{}));
  const auto closed = netd.next(netd.mediator());
  ASSERT_TRUE(closed && closed->as<flow::Closed>());
  EXPECT_EQ(closed->as<flow::Closed>()->end, flow::End::killed);
  front->go_on();
  expect_started(flow::Device::vsock);
  EXPECT_EQ(receive().op(), VsockOp::reset) << "who goes on is told";
}

TEST_F(NetdProgramTest, ForgetsTheStreamsOfADriverThatBeginsAnew) {
  start_vsock();
  const Fd ours = open_stream(1020);
  front->stop();
  guest.emplace(NetdProcess::kCid);
  const wire::VsockConfig config{NetdProcess::kCid};
  guest->start(*front, virtio::VsockDevice::profile(config).features, 64);
  const auto closed = netd.next(netd.mediator());
  ASSERT_TRUE(closed && closed->as<flow::Closed>());
  EXPECT_EQ(closed->as<flow::Closed>()->end, flow::End::guest_reset);
  expect_started(flow::Device::vsock);
  expect_serving(1021);
}

TEST_F(NetdProgramTest, EndsWithTheSupervisor) {
  start_vsock();
  netd.hang_up_supervisor();
  EXPECT_EQ(netd.wait_for_end(), 0);
}

TEST_F(NetdProgramTest, EndsWithTheMediator) {
  start_vsock();
  netd.hang_up_mediator();
  EXPECT_EQ(netd.wait_for_end(), 0);
}

TEST_F(NetdProgramTest, EndsWhenAPeerBreaksTheProtocol) {
  ASSERT_EQ(::send(netd.mediator().fd(), "garbage", 7, 0), 7);
  EXPECT_EQ(netd.wait_for_end(), 1);
}

TEST_F(NetdProgramTest, HostileFrontEndMessagesEndTheirSessionAlone) {
  const std::array<std::uint8_t, 300> zeros{};
  const std::vector<std::function<void(FrontEnd&)>> attacks{
      [](FrontEnd& hostile) { hostile.send(static_cast<wire::VhostRequest>(99), {}); },
      [](FrontEnd& hostile) {
        hostile.send_raw(bytes_of(wire::VhostHeader{1, wire::kVhostVersion, 0xffffffff}));
      },
      [&](FrontEnd& hostile) { hostile.send(wire::VhostRequest::set_memory_table, ByteView(zeros).first(40)); },
      [](FrontEnd& hostile) { hostile.send_state(wire::VhostRequest::set_vring_enable, 255, 1); },
      [](FrontEnd& hostile) { hostile.send_u64(wire::VhostRequest::set_vring_kick, 0xff, std::array{0}); },
      [](FrontEnd& hostile) { hostile.send(wire::VhostRequest::set_owner, {}, std::vector<int>(100, 0)); },
      [](FrontEnd& hostile) { hostile.send_u64(wire::VhostRequest::set_features, ~std::uint64_t{0}); },
      [](FrontEnd& hostile) { ::shutdown(hostile.fd(), SHUT_RDWR); },
  };
  start_vsock();
  for (const auto& attack : attacks) {
    FrontEnd hostile = netd.attach(flow::Device::net);
    attack(hostile);
    expect_failed(flow::Device::net);
    expect_serving(1020);
  }
}

TEST_F(NetdProgramTest, HostileRingsStopAlone) {
  using Attack = std::function<void(NetGuest&, std::uint64_t)>;
  constexpr std::uint16_t kNext = wire::kDescriptorNext;
  const auto descriptor = [](RingDescriptor value) -> Attack {
    return [value](NetGuest& hostile, std::uint64_t buffer) {
      RingDescriptor out = value;
      if (out.address == 0) out.address = buffer;
      hostile.tx.write_descriptor(0, out);
      hostile.tx.offer(0);
    };
  };
  const std::vector<Attack> attacks{
      [](NetGuest& hostile, std::uint64_t) { hostile.tx.offer(0xffff); },
      [](NetGuest& hostile, std::uint64_t) { hostile.tx.set_available_index(9999); },
      descriptor({0, 64, kNext, 0}),
      descriptor({0, 64, kNext, 0xffff}),
      descriptor({0, 0, 0, 0}),
      descriptor({0, 5, 0, 0}),
      descriptor({~std::uint64_t{0} - 4, 64, 0, 0}),
      descriptor({1ULL << 40, 64, 0, 0}),
      descriptor({0, 64, wire::kDescriptorWrite, 0}),
      descriptor({0, 17, wire::kDescriptorIndirect, 0}),
      descriptor({0, 0xfffffff0, wire::kDescriptorIndirect, 0}),
      descriptor({0, 16, wire::kDescriptorIndirect | kNext, 0}),
  };
  start_vsock();
  for (const Attack& attack : attacks) {
    std::optional<FrontEnd> hostile_front(netd.attach(flow::Device::net));
    NetGuest hostile;
    hostile.start(*hostile_front, virtio::NetDevice::profile().features, 32);
    expect_started(flow::Device::net);
    attack(hostile, hostile.ram.allocate(4096));
    hostile_front->kick(1);
    expect_serving(1020);
    ASSERT_TRUE(hostile_front->ask(wire::VhostRequest::get_vring_base, bytes_of(wire::VhostVringState{1, 0})));
    ASSERT_TRUE(netd.alive());
    hostile_front.reset();
    expect_failed(flow::Device::net);
  }
}

}  // namespace
}  // namespace microagent::netd

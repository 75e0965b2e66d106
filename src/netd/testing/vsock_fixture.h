#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "netd/vsock_flows.h"
#include "virtio/testing/vsock_guest.h"

namespace microagent::netd::testing {

using virtio::testing::DriverBuffer;
using virtio::testing::FrontEnd;
using virtio::testing::VsockGuest;
using Packet = virtio::testing::VsockGuestPacket;
using wire::VsockHeader;
using wire::VsockOp;

inline constexpr std::uint64_t kCid = 5;
inline constexpr std::uint32_t kGuestPort = 4000;
inline constexpr std::uint32_t kHostPort = 80;

class Events final : public virtio::VhostEvents {
 public:
  bool on_kick_added(std::size_t, int) override { return true; }
  void on_kick_removed(std::size_t, int) override {}
};

struct Upcalls final : VsockUpcalls {
  void open_vsock(flow::FlowId flow, VsockPorts ports, VsockKind kind) override {
    opened.emplace_back(flow, ports);
    last_kind = kind;
  }
  void closed_vsock(flow::FlowId flow, const flow::Closed& totals) override { closed.emplace_back(flow, totals); }
  bool watch_vsock(int fd, std::uint64_t token) override { return watched.emplace(fd, token).second; }
  void forget(int fd) override { watched.erase(fd); }

  std::vector<std::pair<flow::FlowId, VsockPorts>> opened;
  std::vector<std::pair<flow::FlowId, flow::Closed>> closed;
  std::map<int, std::uint64_t> watched;
  VsockKind last_kind{};
};

// A guest that sends raw packets, the flows, and the host's end of one descriptor.
class VsockFlowsTest : public ::testing::Test {
 protected:
  VsockFlowsTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    session.emplace(Fd(ends[0]), virtio::VsockDevice::profile(config), events);
    device.emplace(*session, kCid);
    flows.emplace(*device, kCid, 0x1234, upcalls);
    front.emplace(Fd(ends[1]), [this] { EXPECT_TRUE(session->on_readable()); });
    guest.start(*front, virtio::VsockDevice::profile(config).features, 32);
  }

  VsockHeader header(VsockOp op, std::uint32_t host_port = kHostPort) const {
    return guest.header(op, kGuestPort, host_port);
  }

  void send(const VsockHeader& out, std::string_view data = {}) {
    ASSERT_TRUE(guest.offer(out, data));
    turn();
  }
  void send(VsockOp op, std::uint32_t host_port = kHostPort) { send(header(op, host_port)); }
  void send_data(std::string_view data, std::uint32_t host_port = kHostPort) {
    VsockHeader out = header(VsockOp::rw, host_port);
    out.length = static_cast<std::uint32_t>(data.size());
    send(out, data);
  }

  // What netd's loop does in one turn.
  void turn() {
    flows->receive(128);
    flows->pump();
    device->flush();
  }
  void descriptor_event(std::uint32_t epoll_events) {
    const auto watched = upcalls.watched;
    for (const auto& [fd, token] : watched) flows->on_descriptor(token, epoll_events);
    turn();
  }

  std::vector<Packet> received() { return guest.received(); }
  Packet only() {
    const auto packets = received();
    EXPECT_EQ(packets.size(), 1U);
    return packets.empty() ? Packet{} : packets.front();
  }

  Fd make_host_end() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    host.reset(ends[0]);
    return Fd(ends[1]);
  }
  void connect() {
    send(VsockOp::request);
    ASSERT_FALSE(upcalls.opened.empty());
    flows->on_splice(upcalls.opened.back().first, make_host_end());
    turn();
    ASSERT_EQ(only().op(), VsockOp::response);
  }
  std::string host_reads() {
    std::string out(1 << 20, '\0');
    const ssize_t count = ::recv(host.get(), out.data(), out.size(), MSG_DONTWAIT);
    out.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return out;
  }
  bool host_at_end() {
    char byte = 0;
    return ::recv(host.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  void host_writes(const std::string& data) {
    ASSERT_EQ(::send(host.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
              static_cast<ssize_t>(data.size()));
    descriptor_event(EPOLLIN | EPOLLOUT);
  }
  void expect_reset_and_gone(flow::End how) {
    EXPECT_EQ(only().op(), VsockOp::reset);
    EXPECT_EQ(flows->size(), 0U);
    ASSERT_EQ(upcalls.closed.size(), 1U);
    EXPECT_EQ(upcalls.closed[0].second.end, how);
    EXPECT_TRUE(upcalls.watched.empty());
  }

  wire::VsockConfig config{kCid};
  VsockGuest guest{kCid};
  Events events;
  Upcalls upcalls;
  std::optional<virtio::VhostSession> session;
  std::optional<virtio::VsockDevice> device;
  std::optional<VsockFlows> flows;
  std::optional<FrontEnd> front;
  std::uint32_t told = 0;
  Fd host;
};

}  // namespace microagent::netd::testing

// A guest that sends any packets in any order, a host that reads, writes, ends and refuses as it likes: the fuzzer's
// bytes are a script for both. Beyond the sanitizers it checks what VsockFlows promises whatever the guest does: every
// connection that got a descriptor is told to have ended exactly once, nobody is watched after that, the guest is never
// sent more than the credit it gave, and nothing grows beyond its bound.

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <set>

#include "base/check.h"
#include "netd/vsock_flows.h"
#include "script.h"
#include "virtio/testing/vsock_guest.h"
#include "wire/agent.h"

namespace microagent::netd {
namespace {

using virtio::testing::FrontEnd;
using virtio::testing::VsockGuest;
using wire::VsockHeader;
using wire::VsockOp;

constexpr std::uint64_t kCid = 3;
constexpr int kReceiveBuffers = 24;

class Events final : public virtio::VhostEvents {
 public:
  bool on_kick_added(std::size_t, int) override { return true; }
  void on_kick_removed(std::size_t, int) override {}
};

class Script : public fuzz::Script {
 public:
  using fuzz::Script::Script;
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | next();
    return value;
  }
};

class World final : public VsockUpcalls {
 public:
  explicit World(ByteView script) : script_(script) {
    std::array<int, 2> ends{};
    MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    session_.emplace(Fd(ends[0]), virtio::VsockDevice::profile(config_), events_);
    device_.emplace(*session_, kCid);
    flows_.emplace(*device_, kCid, 1, *this);
    front_.emplace(Fd(ends[1]), [this] { MICROAGENT_CHECK(session_->on_readable().has_value()); });
    guest_.start(*front_, virtio::VsockDevice::profile(config_).features, kReceiveBuffers);
  }

  void play() {
    while (!script_.over()) step();
    flows_->sever();
    MICROAGENT_CHECK(flows_->size() == 0 && watched_.empty());
    for (const auto& [flow, verdict] : spliced_) MICROAGENT_CHECK(closed_.contains(flow));
  }

 private:
  // VsockUpcalls
  void open_vsock(flow::FlowId flow, VsockPorts, VsockKind kind) override { asked_.emplace_back(flow, kind); }
  void closed_vsock(flow::FlowId flow, const flow::Closed&) override {
    MICROAGENT_CHECK(spliced_.contains(flow) && closed_.insert(flow).second);
  }
  bool watch_vsock(int fd, std::uint64_t token) override { return watched_.emplace(fd, token).second; }
  void forget(int fd) override { MICROAGENT_CHECK(watched_.erase(fd) == 1); }

  void step() {
    switch (script_.next() % 8) {
      case 0:
      case 1:
      case 2: send_packet(); break;
      case 3: give_verdict(); break;
      case 4: dial(); break;
      case 5: host_acts(); break;
      case 6: flows_->on_time(flows_->next_deadline().value_or(0)); break;
      case 7: (void)flows_->kill(spliced_.empty() ? 1 : spliced_.rbegin()->first); break;
    }
    flows_->receive(16);
    for (const auto& [fd, token] : std::map(watched_)) flows_->on_descriptor(token, EPOLLIN | EPOLLOUT);
    flows_->pump();
    device_->flush();
    MICROAGENT_CHECK(flows_->size() <= VsockFlows::kMaxConnections);
    take_packets();
  }

  void send_packet() {
    const std::uint8_t odd = script_.next();
    const auto op = static_cast<VsockOp>(script_.next() % 9);
    const std::uint32_t guest_port = script_.next() % 4;
    const std::uint32_t host_port = script_.next() % 4;
    VsockHeader header = guest_.header(op, guest_port, host_port);
    if ((odd & 1) != 0) header.type = wire::kVsockSeqpacketType;
    if ((odd & 2) != 0) header.flags = script_.next();
    if ((odd & 4) != 0) header.forwarded_count = script_.word();
    if ((odd & 8) != 0) header.buffer_size = script_.word();
    if ((odd & 16) != 0) header.source_cid = script_.next();
    if ((odd & 32) != 0) header.length = script_.word();
    std::string data;
    if (header.op == static_cast<std::uint16_t>(VsockOp::rw) && (odd & 32) == 0) {
      data.assign(std::size_t{script_.next()} * 64, 'g');
      header.length = static_cast<std::uint32_t>(data.size());
    }
    if ((odd & 64) != 0 && !last_host_ports_.empty()) header.destination_port = *last_host_ports_.rbegin();
    if ((odd & 4) == 0) header.forwarded_count = forwarded_[{header.source_port, header.destination_port}];
    (void)guest_.offer(header, data);
  }

  void give_verdict() {
    if (asked_.empty()) return;
    const auto [flow, kind] = asked_.front();
    asked_.erase(asked_.begin());
    const std::uint8_t choice = script_.next();
    if (choice % 4 == 0) return flows_->on_refuse(flow, choice % 8 == 0);
    const bool suits = choice % 16 != 1;
    spliced_[flow] = true;
    flows_->on_splice(flow, make_host((kind == VsockKind::packets) == suits ? SOCK_SEQPACKET : SOCK_STREAM));
  }

  void dial() {
    const flow::FlowId flow = flow::kDialledBit | ++dials_;
    spliced_[flow] = true;
    flows_->dial(flow, script_.next() % 4, make_host(SOCK_STREAM));
  }

  Fd make_host(int type) {
    std::array<int, 2> ends{};
    MICROAGENT_CHECK(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    hosts_.emplace_back(ends[0]);
    return Fd(ends[1]);
  }

  void host_acts() {
    if (hosts_.empty()) return;
    Fd& host = hosts_[script_.next() % hosts_.size()];
    std::array<char, 16 * 1024> buffer{};
    switch (script_.next() % 4) {
      case 0: (void)!::send(host.get(), buffer.data(), std::size_t{script_.next()} * 64, MSG_NOSIGNAL); break;
      case 1: (void)!::recv(host.get(), buffer.data(), buffer.size(), 0); break;
      case 2: ::shutdown(host.get(), SHUT_WR); break;
      case 3: host.reset(); break;
    }
  }

  void take_packets() {
    const auto packets = guest_.received();
    for (const auto& packet : packets) {
      const VsockHeader& header = packet.header;
      MICROAGENT_CHECK(header.source_cid == wire::kHostCid && header.destination_cid == kCid);
      if (packet.op() == VsockOp::request) last_host_ports_.insert(header.source_port);
      const std::pair<std::uint32_t, std::uint32_t> ports{header.destination_port, header.source_port};
      const bool begins = packet.op() == VsockOp::request || packet.op() == VsockOp::response;
      if (begins || packet.op() == VsockOp::reset) forwarded_.erase(ports);
      // An honest guest reads all of it at once.
      if (packet.op() == VsockOp::rw) forwarded_[ports] += header.length;
    }
    guest_.post_again(static_cast<int>(packets.size()));
  }

  Script script_;
  wire::VsockConfig config_{kCid};
  Events events_;
  VsockGuest guest_{kCid};
  std::optional<virtio::VhostSession> session_;
  std::optional<virtio::VsockDevice> device_;
  std::optional<VsockFlows> flows_;
  std::optional<FrontEnd> front_;
  std::vector<std::pair<flow::FlowId, VsockKind>> asked_;
  std::map<flow::FlowId, bool> spliced_;
  std::set<flow::FlowId> closed_;
  std::map<int, std::uint64_t> watched_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> forwarded_;
  std::set<std::uint32_t> last_host_ports_;
  std::vector<Fd> hosts_;
  flow::FlowId dials_ = 0;
};

}  // namespace
}  // namespace microagent::netd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 4096) return 0;
  microagent::netd::World({data, size}).play();
  return 0;
}

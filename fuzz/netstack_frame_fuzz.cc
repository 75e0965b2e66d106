// What a guest can put on the wire, and what the other ends may do meanwhile: the fuzzer's bytes are a script of
// frames, verdicts, descriptor events and time for a whole stack, with real socket pairs as host ends. Beyond the
// sanitizers it checks that every frame to the guest is right, that every splice has one end, and that nothing is left
// at the end.

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/check.h"
#include "netstack/stack.h"
#include "netstack/testing/frames.h"
#include "netstack/testing/test_environment.h"
#include "wire/checksum.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

using namespace testing;

constexpr std::size_t kMaxSteps = 100;
constexpr std::size_t kMaxHosts = 16;

// Checks each frame and forgets it.
class StrictWire final : public Wire {
 public:
  Abilities can{};
  std::size_t frames_of_room = 64;
  std::size_t piece_bytes = 0;

  Abilities abilities() const override { return can; }
  std::span<const iovec> reserve(std::size_t bytes) override {
    MICROAGENT_CHECK(!reserved_ && bytes > 0 && bytes <= memory_.size());
    if (frames_of_room == 0) return {};
    const std::size_t step = piece_bytes == 0 ? bytes : std::max(piece_bytes, bytes / 200);
    pieces_.clear();
    for (std::size_t at = 0; at < bytes; at += step) {
      pieces_.push_back(iovec{memory_.data() + at, std::min(step, bytes - at)});
    }
    reserved_ = bytes;
    return pieces_;
  }
  void commit(std::size_t bytes, const Offload& offload) override {
    MICROAGENT_CHECK(bytes > 0 && bytes <= reserved_);
    reserved_ = 0;
    --frames_of_room;
    const auto end = memory_.begin() + static_cast<std::ptrdiff_t>(bytes);
    const Parsed frame = parse(Frame{Bytes(memory_.begin(), end), offload});
    MICROAGENT_CHECK(frame.problem.empty());
  }
  void abandon() override {
    MICROAGENT_CHECK(reserved_ != 0);
    reserved_ = 0;
  }

 private:
  static inline std::array<std::uint8_t, 14 + 65'575> memory_{};
  std::vector<iovec> pieces_;
  std::size_t reserved_ = 0;
};

// Counts what the protocol with the mediator promises.
class StrictUpcalls final : public Upcalls {
 public:
  void open(FlowId flow, Protocol protocol, const Endpoint&, const Endpoint&) override {
    MICROAGENT_CHECK(opened_.insert(flow).second);
    waiting.emplace_back(flow, protocol);
  }
  void first_bytes(FlowId, std::span<const iovec> pieces, bool) override {
    for (const iovec& piece : pieces) touched_ += *static_cast<const std::uint8_t*>(piece.iov_base);
  }
  void closed(FlowId flow, const FlowTotals&) override { MICROAGENT_CHECK(closed_.insert(flow).second); }
  bool watch(int fd, std::uint64_t token, Interest) override { return watched.emplace(fd, token).second; }
  void forget(int fd) override { MICROAGENT_CHECK(watched.erase(fd) == 1); }

  bool is_closed(FlowId flow) const { return closed_.contains(flow); }

  std::vector<std::pair<FlowId, Protocol>> waiting;
  std::map<int, std::uint64_t> watched;

 private:
  std::set<FlowId> opened_, closed_;
  std::size_t touched_ = 0;
};

Config fuzz_config() {
  Config config = make_config();
  config.has_ipv6 = true;
  config.guest_ip6 = {0xfd, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
  config.gateway_ip6 = {0xfd, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  config.max_flows = 64;
  return config;
}

// Puts right what random bytes never have: the checksums of an IP packet, where its lengths allow.
void fix_checksums(Bytes& packet) {
  const bool ipv4 = !packet.empty() && packet[0] >> 4 == 4;
  const std::size_t header_bytes = ipv4 ? (packet[0] & 0xfU) * 4 : 40;
  if (packet.size() < header_bytes + 8 || header_bytes < 20) return;
  if (ipv4) fix_header_checksum(packet);
  IpFields fields{.source = ipv4 ? ip4(packet[12], packet[13], packet[14], packet[15]) : wire::IpAddress{},
                  .destination = ipv4 ? ip4(packet[16], packet[17], packet[18], packet[19]) : wire::IpAddress{},
                  .protocol = ipv4 ? packet[9] : packet[6]};
  if (!ipv4) {
    fields.source = wire::IpAddress::ipv6(header_of<wire::Ipv6Header>(packet).source);
    fields.destination = wire::IpAddress::ipv6(header_of<wire::Ipv6Header>(packet).destination);
  }
  const std::size_t total = ipv4 ? packet[2] * 256U + packet[3] : 40 + packet[4] * 256U + packet[5];
  if (total < header_bytes + 8 || total > packet.size()) return;
  const MutableBytes transport = MutableBytes(packet).subspan(header_bytes, total - header_bytes);
  if (fields.protocol == wire::kProtocolUdp) put_checksum(transport, 6, fields);
  if (fields.protocol == wire::kProtocolTcp && transport.size() >= 20) put_checksum(transport, 16, fields);
  if (fields.protocol == wire::kProtocolIcmp || fields.protocol == wire::kProtocolIcmpv6) {
    put_checksum(transport, 2, fields);
  }
}

class Script {
 public:
  explicit Script(ByteView input) : reader_(input) { stack_.on_time(now_); }

  void run() {
    for (std::size_t step = 0; step < kMaxSteps && reader_.left() > 0; ++step) run_step(byte());
    stack_.flush();
    stack_.sever();
    MICROAGENT_CHECK(upcalls_.watched.empty());
    for (const FlowId flow : spliced_) MICROAGENT_CHECK(upcalls_.is_closed(flow));
    // Every question is answered some day.
    for (const auto& [flow, protocol] : upcalls_.waiting) stack_.on_drop(flow);
    MICROAGENT_CHECK(stack_.counters().flows == 0);
  }

 private:
  std::uint8_t byte() {
    std::uint8_t value = 0;
    (void)reader_.read(value);
    return value;
  }
  Bytes bytes(std::size_t size) {
    ByteView taken;
    if (!reader_.take(std::min(size, reader_.left()), taken)) return {};
    return {taken.begin(), taken.end()};
  }
  Bytes counted() {
    be16 size;
    (void)reader_.read(size);
    return bytes(size);
  }

  void run_step(std::uint8_t kind) {
    switch (kind % 10) {
      case 0: return give(counted(), {});
      case 1:
      case 2: return give_packet({});
      case 3: return give_packet(offload());
      case 4: return answer(byte());
      case 5: return host_acts(byte());
      case 6: return pass_time(byte());
      case 7: return set_wire(byte());
      case 8: return dial(byte());
      case 9: return stack_.flush(byte() % 2 == 0 ? Round::last : Round::goes_on);
    }
  }

  Offload offload() {
    Offload out;
    out.flags = byte() & 1;
    out.gso_type = byte() % 8;
    out.gso_size = static_cast<std::uint16_t>(byte() * 8);
    out.csum_start = byte();
    out.csum_offset = byte();
    return out;
  }
  void give_packet(const Offload& wanted) {
    Bytes packet = counted();
    fix_checksums(packet);
    const bool ipv6 = !packet.empty() && packet[0] >> 4 == 6;
    give(ethernet(ipv6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4, packet), wanted);
  }
  // The memory lives to the end of the batch, as the interface promises.
  void give(const Bytes& frame, const Offload& wanted) {
    if (frame.empty()) return;
    const Bytes& kept = *frames_.emplace_back(std::make_unique<Bytes>(frame));
    std::vector<iovec> pieces;
    const std::size_t step = wire_.piece_bytes == 0 ? kept.size() : wire_.piece_bytes;
    for (std::size_t at = 0; at < kept.size(); at += step) {
      pieces.push_back(iovec{const_cast<std::uint8_t*>(kept.data()) + at, std::min(step, kept.size() - at)});
    }
    if (pieces.size() > 1000) return;
    stack_.on_frame(pieces, kept.size(), wanted);
    if (frames_.size() % 4 == 0) flush();
  }
  void flush() {
    stack_.flush();
    frames_.clear();
  }

  Fd host_pair(int type) {
    std::array<int, 2> ends{};
    MICROAGENT_CHECK(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    Fd ours(ends[0]);
    if (hosts_.size() < kMaxHosts) hosts_.push_back(std::move(ours));
    return Fd(ends[1]);
  }
  void answer(std::uint8_t how) {
    if (upcalls_.waiting.empty()) return;
    const auto [flow, protocol] = upcalls_.waiting.back();
    const bool tcp = protocol == Protocol::tcp;
    if (how % 8 == 7 && tcp) return stack_.on_peek(flow, 1U << (how / 8 % 15));
    if (how % 8 == 2) return stack_.kill(flow);
    upcalls_.waiting.pop_back();
    if (how % 8 == 0) return stack_.on_drop(flow);
    if (how % 8 == 1) return stack_.on_refuse(flow, static_cast<Refusal>(how / 8 % 5));
    spliced_.push_back(flow);
    stack_.on_splice(flow, host_pair(tcp ? SOCK_STREAM : how % 2 == 0 ? SOCK_SEQPACKET : SOCK_DGRAM));
  }
  void host_acts(std::uint8_t how) {
    static std::array<std::uint8_t, 70'000> scratch;
    if (!hosts_.empty()) {
      Fd& host = hosts_[how % hosts_.size()];
      const std::size_t size = std::size_t{1} << (how % 17);
      if (how % 3 == 0) (void)::send(host.get(), scratch.data(), size - how % 2, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (how % 3 == 1) (void)::recv(host.get(), scratch.data(), scratch.size(), MSG_DONTWAIT);
      if (how % 16 == 15) host.reset();
    }
    const auto watched = upcalls_.watched;
    for (const auto& [fd, token] : watched) {
      stack_.on_descriptor(token, EPOLLIN | EPOLLOUT | (how % 8 == 7 ? EPOLLHUP | EPOLLERR : 0U));
    }
    flush();
  }
  void pass_time(std::uint8_t how) {
    now_ += std::uint64_t{1} << (how % 40);
    stack_.on_time(now_);
    flush();
  }
  void set_wire(std::uint8_t how) {
    wire_.can = {.csum = (how & 1) != 0, .tso4 = (how & 2) != 0, .tso6 = (how & 2) != 0, .uso = false};
    wire_.piece_bytes = (how & 4) != 0 ? 1U + how / 4 : 0U;
    wire_.frames_of_room = (how & 8) != 0 ? how / 16U : 64U;
    stack_.on_wire_room();
    flush();
  }
  void dial(std::uint8_t how) {
    const FlowId flow = FlowId{1} << 63 | ++dialled_;
    const bool tcp = how % 2 == 0;
    spliced_.push_back(flow);
    stack_.dial(flow, tcp ? Protocol::tcp : Protocol::udp, static_cast<std::uint16_t>(how * 16 + 1),
                host_pair(tcp ? SOCK_STREAM : SOCK_DGRAM), bytes(how % 32));
    flush();
  }

  Reader reader_;
  Config config_ = fuzz_config();
  StrictWire wire_;
  StrictUpcalls upcalls_;
  std::uint64_t now_ = 1'000'000'000;
  FlowId dialled_ = 0;
  std::vector<std::unique_ptr<Bytes>> frames_;
  std::vector<Fd> hosts_;
  std::vector<FlowId> spliced_;
  Budgets budgets_;
  Stack stack_{config_, wire_, upcalls_, budgets_};
};

}  // namespace
}  // namespace microagent::netstack

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  microagent::netstack::Script(microagent::ByteView(data, size)).run();
  return 0;
}

// What a hostile guest can put into its memory and rings: the fuzzer's bytes become the whole memory of a small guest
// behind the network and the vsock device. Beyond the sanitizers it checks that every piece handed on lies in memory.

#include <sys/socket.h>

#include <cstdlib>

#include "base/check.h"
#include "virtio/net_device.h"
#include "virtio/testing/front_end.h"
#include "virtio/vsock_device.h"

namespace microagent::virtio {
namespace {

using testing::DriverQueue;
using testing::FrontEnd;
using testing::GuestRam;

constexpr std::size_t kMemory = 64 * 1024;
constexpr std::uint16_t kSize = 8;
constexpr std::uint64_t kCid = 3;

class Events final : public VhostEvents {
 public:
  bool on_kick_added(std::size_t, int) override { return true; }
  void on_kick_removed(std::size_t, int) override {}
};

// Touches every byte, so that a piece outside memory is an error at once.
std::size_t touch(std::span<const iovec> pieces) {
  std::size_t bytes = 0;
  for (const iovec& piece : pieces) {
    auto* start = static_cast<volatile std::uint8_t*>(piece.iov_base);
    for (std::size_t i = 0; i < piece.iov_len; i += 64) start[i] = start[i];
    bytes += piece.iov_len;
  }
  return bytes;
}

class Sink final : public FrameSink {
 public:
  void on_frame(std::span<const iovec> pieces, std::size_t bytes, const wire::NetHeader&) override {
    MICROAGENT_CHECK(touch(pieces) == bytes && bytes <= NetDevice::kMaxFrame);
  }
};

// One device with two small rings in a memory of their own, set up anew for each input.
struct Bench {
  explicit Bench(const DeviceProfile& profile) : features(profile.features) {
    std::array<int, 2> ends{};
    MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    session.emplace(Fd(ends[0]), profile, events);
    front.emplace(Fd(ends[1]), [this] { MICROAGENT_CHECK(session->on_readable().has_value()); });
  }
  // Rings start empty, then the input overwrites the memory, rings included.
  void load(ByteView input) {
    session->stop_all();
    std::memset(ram.at(0), 0, ram.size());
    front->start(ram, std::array{&first, &second}, features);
    std::memcpy(ram.at(4096), input.data(), std::min(input.size(), ram.size() - 4096));
  }

  std::uint64_t features;
  Events events;
  std::optional<VhostSession> session;
  std::optional<FrontEnd> front;
  GuestRam ram{kMemory};
  DriverQueue first{ram, kSize, true};
  DriverQueue second{ram, kSize, true};
};

void run_net(ByteView input) {
  static Bench bench(NetDevice::profile());
  static NetDevice device(*bench.session);
  Sink sink;
  bench.load(input);
  MICROAGENT_CHECK(device.transmit(sink, 64) <= 64);
  for (const std::size_t bytes : {std::size_t{60}, std::size_t{1514}, NetDevice::kMaxFrame}) {
    const auto room = device.reserve(bytes);
    if (room.empty()) continue;
    MICROAGENT_CHECK(touch(room) == bytes);
    device.commit(bytes - 1, wire::NetHeader{});
  }
  device.flush();
  (void)device.await_frames();
  (void)device.await_room();
}

void run_vsock(ByteView input) {
  static const wire::VsockConfig config{kCid};
  static Bench bench(VsockDevice::profile(config));
  static VsockDevice device(*bench.session, kCid);
  bench.load(input);
  VsockPacket packet;
  for (int i = 0; i < 64 && device.next(packet); ++i) {
    MICROAGENT_CHECK(packet.error != wire::VsockError::none || touch(packet.data) == packet.header.length);
    device.done();
  }
  for (int i = 0; i < 64; ++i) {
    const std::size_t wanted = static_cast<std::size_t>(i) * 1000;
    const auto room = device.reserve(wanted);
    if (room.empty()) break;
    const std::size_t bytes = touch(room);
    MICROAGENT_CHECK(bytes > 0 && (wanted == 0 || bytes <= wanted));
    device.commit(wire::VsockHeader{}, wanted == 0 ? 0 : bytes);
  }
  device.flush();
}

}  // namespace
}  // namespace microagent::virtio

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const microagent::ByteView input(data + 1, size - 1);
  data[0] % 2 == 0 ? microagent::virtio::run_net(input) : microagent::virtio::run_vsock(input);
  return 0;
}

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "virtio/testing/driver_queue.h"
#include "virtio/testing/front_end.h"
#include "wire/vsock.h"

namespace microagent::virtio::testing {

struct VsockGuestPacket {
  wire::VsockHeader header;
  std::string data;

  wire::VsockOp op() const { return static_cast<wire::VsockOp>(std::uint16_t{header.op}); }
};

// A guest whose vsock driver sends whatever packets a test wants and shows those it receives.
class VsockGuest {
 public:
  static constexpr std::uint32_t kPacketRoom = 4096;
  static constexpr std::uint32_t kBuffer = 64 * 1024;  // the credit it gives

  explicit VsockGuest(std::uint64_t cid);

  // Brings the device up and posts `buffers` receive buffers.
  void start(FrontEnd& front, std::uint64_t features, int buffers);
  void post_receive(int count);
  // Posts buffers that were received into before, instead of new memory.
  void post_again(int count);

  // A header of this guest for a stream between two ports, with honest credit.
  wire::VsockHeader header(wire::VsockOp op, std::uint32_t guest_port, std::uint32_t host_port) const;
  // Offers one packet; false when the queue is full.
  bool offer(const wire::VsockHeader& header, std::string_view data = {});
  // The packets received so far. Their buffers are not posted again.
  std::vector<VsockGuestPacket> received();

  GuestRam ram{64 << 20};
  DriverQueue rx{ram, 128, true};
  DriverQueue tx{ram, 128, true};
  std::uint32_t forwarded = 0;  // what it says to have taken out of its buffer

 private:
  std::uint64_t cid_;
  std::uint64_t sent_at_;
  void post(std::uint64_t address);

  std::map<std::uint32_t, std::uint64_t> receive_addresses_;  // by head
  std::vector<std::uint64_t> received_addresses_;             // may be posted again
};

}  // namespace microagent::virtio::testing

#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "virtio/testing/driver_queue.h"
#include "virtio/testing/front_end.h"
#include "wire/virtio.h"

namespace microagent::virtio::testing {

// A guest whose network driver sends whatever frames a test wants and shows those it receives.
class NetGuest {
 public:
  static constexpr std::uint32_t kReceiveBuffer = 1536;

  struct Frame {
    wire::NetHeader header;
    std::vector<std::uint8_t> bytes;
  };

  NetGuest();

  // Brings the device up and posts `buffers` receive buffers.
  void start(FrontEnd& front, std::uint64_t features, int buffers);
  void post_receive(int count);

  // Offers one frame; false when the queue is full.
  bool offer(ByteView frame, const wire::NetHeader& header = {});
  // The frames received so far, put together of their buffers, which are posted again.
  std::vector<Frame> received();

  GuestRam ram{64 << 20};
  DriverQueue rx{ram, 256, true};
  DriverQueue tx{ram, 256, true};

 private:
  void post(std::uint64_t address);

  std::uint64_t sent_at_;
  std::map<std::uint32_t, std::uint64_t> receive_addresses_;  // by head
};

}  // namespace microagent::virtio::testing

#include "virtio/net_device.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <vector>

#include "virtio/testing/front_end.h"

namespace microagent::virtio {
namespace {

using testing::DriverBuffer;
using testing::DriverQueue;
using testing::FrontEnd;
using testing::GuestRam;
using wire::NetHeader;

class Events final : public VhostEvents {
 public:
  bool on_kick_added(std::size_t, int) override { return true; }
  void on_kick_removed(std::size_t, int) override {}
};

class Frames final : public FrameSink {
 public:
  void on_frame(std::span<const iovec> pieces, std::size_t bytes, const NetHeader& header) override {
    std::vector<std::uint8_t> frame;
    for (const iovec& piece : pieces) {
      const auto* start = static_cast<const std::uint8_t*>(piece.iov_base);
      frame.insert(frame.end(), start, start + piece.iov_len);
    }
    EXPECT_EQ(frame.size(), bytes);
    frames.push_back(std::move(frame));
    headers.push_back(header);
  }
  std::vector<std::vector<std::uint8_t>> frames;
  std::vector<NetHeader> headers;
};

class NetDeviceTest : public ::testing::Test {
 protected:
  NetDeviceTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    session.emplace(Fd(ends[0]), NetDevice::profile(), events);
    device.emplace(*session);
    front.emplace(Fd(ends[1]), [this] { EXPECT_TRUE(session->on_readable()); });
    start(NetDevice::profile().features);
  }

  void start(std::uint64_t features) {
    session->stop_all();
    front->start(ram, std::array{&rx, &tx}, features);
  }

  std::uint64_t filled(std::size_t bytes, std::uint8_t value) {
    const std::uint64_t address = ram.allocate(bytes);
    std::memset(ram.at(address), value, bytes);
    return address;
  }
  std::uint64_t header(const NetHeader& value = {}) {
    const std::uint64_t address = ram.allocate(sizeof value);
    std::memcpy(ram.at(address), &value, sizeof value);
    return address;
  }
  void post_receive(std::uint32_t bytes) {
    receive_buffers.push_back(ram.allocate(bytes));
    rx.add(std::array{DriverBuffer{receive_buffers.back(), bytes, true}});
  }
  // Writes a counting pattern into a reservation.
  void fill(std::span<const iovec> room) {
    std::uint8_t next = 0;
    for (const iovec& piece : room) {
      for (std::size_t i = 0; i < piece.iov_len; ++i) static_cast<std::uint8_t*>(piece.iov_base)[i] = next++;
    }
  }
  void expect_stopped(std::size_t queue, RingFault fault) {
    EXPECT_FALSE(session->queue(queue).running());
    EXPECT_EQ(session->queue(queue).take_fault(), fault);
    EXPECT_TRUE(session->queue(1 - queue).running()) << "the other queue goes on";
  }

  GuestRam ram{16 << 20};
  DriverQueue rx{ram, 64, true};
  DriverQueue tx{ram, 64, true};
  Events events;
  Frames sink;
  std::optional<VhostSession> session;
  std::optional<NetDevice> device;
  std::optional<FrontEnd> front;
  std::vector<std::uint64_t> receive_buffers;
};

TEST_F(NetDeviceTest, HandsOverTransmittedFramesWithTheirHeader) {
  NetHeader wanted;
  wanted.flags = wire::kNetHeaderNeedsCsum;
  wanted.gso_type = wire::kNetHeaderGsoTcp4;
  wanted.gso_size = 1448;
  tx.add(
      std::array{DriverBuffer{header(wanted), 12}, DriverBuffer{filled(100, 1), 100}, DriverBuffer{filled(50, 2), 50}});
  EXPECT_EQ(device->transmit(sink, 16), 1U);
  ASSERT_EQ(sink.frames.size(), 1U);
  EXPECT_EQ(sink.frames[0].size(), 150U);
  EXPECT_EQ(sink.frames[0][149], 2);
  EXPECT_EQ(sink.headers[0].gso_size, 1448U);
  device->flush();
  EXPECT_EQ(tx.take_used()->length, 0U);
  EXPECT_EQ(front->take_interrupts(1), 1U);
}

TEST_F(NetDeviceTest, FindsTheHeaderHoweverItIsCut) {
  for (std::uint32_t cut = 1; cut < 30; ++cut) {
    const std::uint64_t bytes = filled(32, 0);
    std::memset(ram.at(bytes + 12), 7, 20);
    tx.add(std::array{DriverBuffer{bytes, cut}, DriverBuffer{bytes + cut, 32 - cut}});
    EXPECT_EQ(device->transmit(sink, 16), 1U);
    EXPECT_EQ(sink.frames.back(), std::vector<std::uint8_t>(20, 7));
  }
}

TEST_F(NetDeviceTest, StaysWithinItsBudget) {
  for (int i = 0; i < 10; ++i) tx.add(std::array{DriverBuffer{filled(64, 0), 64}});
  EXPECT_EQ(device->transmit(sink, 4), 4U);
  EXPECT_EQ(device->transmit(sink, 100), 6U);
}

// Whoever looks at the ring again at once may keep to itself for a moment that it took something.
TEST_F(NetDeviceTest, FramesTakenAreNoNewsButGoWithThem) {
  tx.add(std::array{DriverBuffer{filled(64, 0), 64}});
  EXPECT_EQ(device->transmit(sink, 16), 1U);
  device->flush(Show::news);
  EXPECT_FALSE(tx.take_used());
  EXPECT_EQ(front->take_interrupts(1), 0U);

  post_receive(2048);
  ASSERT_FALSE(device->reserve(60).empty());
  device->commit(60, {});
  device->flush(Show::news);
  EXPECT_TRUE(rx.take_used());
  EXPECT_TRUE(tx.take_used()) << "with the news";
  EXPECT_EQ(front->take_interrupts(1), 1U);
}

TEST_F(NetDeviceTest, FramesTakenAreShownBeforeTheyAreMany) {
  for (int i = 0; i < 40; ++i) {
    tx.add(std::array{DriverBuffer{filled(64, 0), 64}});
    EXPECT_EQ(device->transmit(sink, 1), 1U);
    device->flush(Show::news);
  }
  int shown = 0;
  while (tx.take_used()) ++shown;
  EXPECT_EQ(shown, 32);
  device->flush(Show::all);
  while (tx.take_used()) ++shown;
  EXPECT_EQ(shown, 40);
}

TEST_F(NetDeviceTest, OneReceivedFrameInOneBuffer) {
  post_receive(2048);
  const auto room = device->reserve(60);
  ASSERT_EQ(total_bytes(room), 60U);
  fill(room);
  device->commit(42, NetHeader{});
  device->flush();
  EXPECT_EQ(rx.take_used()->length, 54U);
  EXPECT_EQ(front->take_interrupts(0), 1U);
  EXPECT_EQ(ram.at(receive_buffers[0])[10], 1) << "one buffer";
  EXPECT_EQ(ram.at(receive_buffers[0])[12], 0);
  EXPECT_EQ(ram.at(receive_buffers[0])[13], 1);
}

TEST_F(NetDeviceTest, ALargeFrameFillsManyBuffers) {
  for (int i = 0; i < 50; ++i) post_receive(1536);
  const auto room = device->reserve(NetDevice::kMaxFrame);
  ASSERT_EQ(total_bytes(room), NetDevice::kMaxFrame);
  fill(room);
  device->commit(NetDevice::kMaxFrame, NetHeader{});
  device->flush();
  std::size_t bytes = 0;
  std::size_t buffers = 0;
  while (const auto used = rx.take_used()) {
    bytes += used->length;
    ++buffers;
  }
  EXPECT_EQ(bytes, NetDevice::kMaxFrame + 12);
  EXPECT_EQ(buffers, 43U);
  EXPECT_EQ(ram.at(receive_buffers[0])[10], 43);
}

TEST_F(NetDeviceTest, BuffersThatAShorterFrameLeavesAreUsedAgain) {
  for (int i = 0; i < 50; ++i) post_receive(1536);
  ASSERT_FALSE(device->reserve(NetDevice::kMaxFrame).empty());
  device->commit(1000, NetHeader{});
  ASSERT_FALSE(device->reserve(NetDevice::kMaxFrame).empty());
  device->abandon();
  ASSERT_FALSE(device->reserve(1500).empty());
  device->commit(1500, NetHeader{});
  device->flush();
  EXPECT_EQ(rx.take_used()->length, 1012U);
  EXPECT_EQ(rx.take_used()->length, 1512U);
  EXPECT_FALSE(rx.take_used());
}

TEST_F(NetDeviceTest, WithoutEnoughBuffersThereIsNoRoomAndLaterThereIs) {
  post_receive(1536);
  EXPECT_TRUE(device->reserve(4000).empty());
  EXPECT_FALSE(device->await_room()) << "nothing new since we looked";
  post_receive(1536);
  post_receive(1536);
  EXPECT_TRUE(rx.should_notify());
  EXPECT_FALSE(device->reserve(4000).empty());
  device->abandon();
}

TEST_F(NetDeviceTest, WithoutMergingAFrameMustFitOneBuffer) {
  start(wire::kVersion1);
  post_receive(100);
  post_receive(2048);
  EXPECT_TRUE(device->reserve(1500).empty());
  EXPECT_FALSE(device->reserve(80).empty());
  device->abandon();
}

TEST_F(NetDeviceTest, WritableBufferInATransmittedFrame) {
  tx.add(std::array{DriverBuffer{filled(64, 0), 64}, DriverBuffer{filled(64, 0), 64, true}});
  device->transmit(sink, 16);
  EXPECT_TRUE(sink.frames.empty());
  expect_stopped(NetDevice::kTransmitQueue, RingFault::wrong_direction);
}

TEST_F(NetDeviceTest, TransmittedFrameShorterThanItsHeader) {
  tx.add(std::array{DriverBuffer{filled(11, 0), 11}});
  device->transmit(sink, 16);
  expect_stopped(NetDevice::kTransmitQueue, RingFault::header_missing);
}

TEST_F(NetDeviceTest, ReadableBufferToReceiveInto) {
  rx.add(std::array{DriverBuffer{filled(2048, 0), 2048}});
  EXPECT_TRUE(device->reserve(60).empty());
  expect_stopped(NetDevice::kReceiveQueue, RingFault::wrong_direction);
}

TEST_F(NetDeviceTest, ReceiveBufferTooShortForTheHeader) {
  post_receive(11);
  EXPECT_TRUE(device->reserve(60).empty());
  expect_stopped(NetDevice::kReceiveQueue, RingFault::header_missing);
}

TEST_F(NetDeviceTest, ReceiveBuffersThatAreCrumbs) {
  for (int i = 0; i < 60; ++i) post_receive(13);
  EXPECT_TRUE(device->reserve(NetDevice::kMaxFrame).empty());
  EXPECT_FALSE(device->reserve(60).empty());
  device->commit(60, NetHeader{});
  EXPECT_TRUE(session->queue(NetDevice::kReceiveQueue).running());
}

TEST_F(NetDeviceTest, FramesThatCannotBeAreDroppedAndCounted) {
  tx.add(std::array{DriverBuffer{header(), 12}});
  constexpr std::uint32_t kTooLarge = NetDevice::kMaxFrame + 1;
  tx.add(std::array{DriverBuffer{header(), 12}, DriverBuffer{filled(kTooLarge, 0), kTooLarge}});
  NetHeader unknown;
  unknown.gso_type = 3;
  tx.add(std::array{DriverBuffer{header(unknown), 12}, DriverBuffer{filled(60, 0), 60}});
  EXPECT_EQ(device->transmit(sink, 16), 3U);
  EXPECT_TRUE(sink.frames.empty());
  EXPECT_EQ(device->counters().empty, 1U);
  EXPECT_EQ(device->counters().oversized, 1U);
  EXPECT_EQ(device->counters().bad_offload, 1U);
  EXPECT_TRUE(session->queue(NetDevice::kTransmitQueue).running());
}

TEST_F(NetDeviceTest, OffloadsThatWereNotNegotiated) {
  start(wire::kVersion1);
  for (const NetHeader asked :
       {NetHeader{.flags = wire::kNetHeaderNeedsCsum}, NetHeader{.flags = 0, .gso_type = wire::kNetHeaderGsoTcp4}}) {
    tx.add(std::array{DriverBuffer{header(asked), 12}, DriverBuffer{filled(60, 0), 60}});
  }
  EXPECT_EQ(device->transmit(sink, 16), 2U);
  EXPECT_TRUE(sink.frames.empty());
  EXPECT_EQ(device->counters().bad_offload, 2U);
}

}  // namespace
}  // namespace microagent::virtio

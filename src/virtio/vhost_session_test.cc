#include "virtio/vhost_session.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "virtio/net_device.h"
#include "virtio/testing/front_end.h"

namespace microagent::virtio {
namespace {

using testing::DriverQueue;
using testing::FrontEnd;
using testing::GuestRam;
using wire::VhostRequest;

std::size_t open_files() {
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

class Events final : public VhostEvents {
 public:
  bool on_kick_added(std::size_t, int) override { return ++kicks, true; }
  void on_kick_removed(std::size_t, int) override { --kicks; }
  int kicks = 0;
};

class VhostSessionTest : public ::testing::Test {
 protected:
  VhostSessionTest() { connect(); }

  void connect() {
    front.reset();
    session.reset();
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    session.emplace(Fd(ends[0]), NetDevice::profile(), events);
    front.emplace(Fd(ends[1]), [this] { status = session->on_readable(); });
  }

  void pump() { status = session->on_readable(); }
  void start() { front->start(ram, std::array{&rx, &tx}, NetDevice::profile().features); }
  void expect_broken() {
    pump();
    EXPECT_FALSE(status);
    session->stop_all();
    EXPECT_EQ(events.kicks, 0);
  }
  std::uint64_t kick_word(std::uint8_t index) const { return wire::encode_vhost_vring_fd({index, true}); }

  Events events;
  std::optional<VhostSession> session;
  std::optional<FrontEnd> front;
  Status status;
  GuestRam ram{1 << 20};
  DriverQueue rx{ram, 16, true};
  DriverQueue tx{ram, 16, true};
};

TEST_F(VhostSessionTest, NegotiatesAndStartsItsRings) {
  EXPECT_EQ(front->ask_u64(VhostRequest::get_features), NetDevice::profile().features | wire::kVhostProtocolFeatures);
  EXPECT_EQ(front->ask_u64(VhostRequest::get_protocol_features), NetDevice::profile().protocol_features);
  EXPECT_EQ(front->ask_u64(VhostRequest::get_queue_count), 2U);
  start();
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_TRUE(session->queue(0).running());
  EXPECT_TRUE(session->queue(1).running());
  EXPECT_EQ(events.kicks, 2);
}

TEST_F(VhostSessionTest, HaltsOneRingAndSaysWhereItWas) {
  start();
  tx.add(std::array{testing::DriverBuffer{ram.allocate(64), 64}});
  std::array<iovec, kMaxQueueSize> room{};
  Chain chain;
  ASSERT_TRUE(session->queue(1).pop(room, chain));
  const auto answer = front->ask(VhostRequest::get_vring_base, bytes_of(wire::VhostVringState{1, 0}));
  ASSERT_TRUE(answer);
  EXPECT_EQ(wire::parse_vhost_vring_state(*answer)->value, 1U);
  EXPECT_FALSE(session->queue(1).running());
  EXPECT_TRUE(session->queue(0).running());
}

TEST_F(VhostSessionTest, ABrokenRingStaysStoppedUntilItIsHalted) {
  start();
  tx.offer(99);
  std::array<iovec, kMaxQueueSize> room{};
  Chain chain;
  EXPECT_FALSE(session->queue(1).pop(room, chain));
  EXPECT_EQ(session->queue(1).take_fault(), RingFault::head_out_of_range);
  EXPECT_FALSE(session->queue(1).pop(room, chain));
  EXPECT_EQ(session->queue(1).take_fault(), RingFault::none) << "told once";
  front->send_state(VhostRequest::set_vring_enable, 1, 1);
  pump();
  EXPECT_FALSE(session->queue(1).running());
  EXPECT_TRUE(session->queue(0).running());

  for (const std::uint32_t index : {0U, 1U}) {
    ASSERT_TRUE(front->ask(VhostRequest::get_vring_base, bytes_of(wire::VhostVringState{index, 0})));
  }
  tx.set_available_index(0);
  start();
  EXPECT_TRUE(session->queue(1).running());
}

TEST_F(VhostSessionTest, AnswersRequestsForAnAcknowledgement) {
  front->send_u64(VhostRequest::set_protocol_features, wire::kVhostProtocolReplyAck);
  const wire::VhostHeader header{static_cast<std::uint32_t>(VhostRequest::set_owner),
                                 wire::kVhostVersion | wire::kVhostNeedReply, 0};
  front->send_raw(bytes_of(header));
  pump();
  ASSERT_TRUE(status);
  std::array<std::uint8_t, 64> reply{};
  EXPECT_EQ(::recv(front->fd(), reply.data(), reply.size(), MSG_DONTWAIT),
            static_cast<ssize_t>(sizeof header + sizeof(std::uint64_t)));
}

TEST_F(VhostSessionTest, TakesMessagesHoweverTheyAreCut) {
  const wire::VhostHeader header{static_cast<std::uint32_t>(VhostRequest::set_features), wire::kVhostVersion, 8};
  const le64 features = wire::kVersion1;
  std::vector<std::uint8_t> bytes(bytes_of(header).begin(), bytes_of(header).end());
  bytes.insert(bytes.end(), bytes_of(features).begin(), bytes_of(features).end());
  for (const std::uint8_t byte : bytes) {
    front->send_raw(ByteView(&byte, 1));
    pump();
    ASSERT_TRUE(status);
  }
  EXPECT_EQ(session->features(), wire::kVersion1);
}

TEST_F(VhostSessionTest, ExtraDescriptorsAreClosed) {
  const std::size_t before = open_files();
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 100; ++i) {
    const std::vector<int> files(wire::kVhostMaxRegions, null.get());
    front->send(VhostRequest::set_owner, {}, files);
    front->send_u64(VhostRequest::set_vring_call, kick_word(0), files);
    pump();
    ASSERT_TRUE(status) << status.error().message;
  }
  front->send(VhostRequest::set_owner, {});
  pump();
  EXPECT_LE(open_files(), before + 2) << "null and the one call descriptor";
}

TEST_F(VhostSessionTest, MoreDescriptorsThanAnyMessageHas) {
  const std::size_t before = open_files();
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<int> files(20, null.get());
  front->send(VhostRequest::set_owner, {}, files);
  expect_broken();
  session.reset();
  EXPECT_LE(open_files(), before);
}

TEST_F(VhostSessionTest, RingIndexOutOfRange) {
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const VhostRequest request : {VhostRequest::set_vring_size, VhostRequest::set_vring_base,
                                     VhostRequest::set_vring_enable, VhostRequest::get_vring_base}) {
    for (const std::uint32_t index : {2U, 255U, 0xffffffffU}) {
      connect();
      front->send_state(request, index, 1);
      expect_broken();
    }
  }
  for (const VhostRequest request :
       {VhostRequest::set_vring_kick, VhostRequest::set_vring_call, VhostRequest::set_vring_error}) {
    connect();
    front->send_u64(request, kick_word(255), std::array{null.get()});
    expect_broken();
  }
  connect();
  front->send(VhostRequest::set_vring_address, bytes_of(wire::VhostVringAddress{255, 0, 0, 0, 0, 0}));
  expect_broken();
}

TEST_F(VhostSessionTest, UnknownAndOversizedRequests) {
  for (const std::uint32_t request : {0U, 7U, 26U, 0xffffffffU}) {
    connect();
    front->send(static_cast<VhostRequest>(request), {});
    expect_broken();
  }
  for (const std::uint32_t size : {static_cast<std::uint32_t>(wire::kVhostMaxPayload) + 1, 0x7fffffffU, 0xffffffffU}) {
    connect();
    front->send_raw(bytes_of(wire::VhostHeader{1, wire::kVhostVersion, size}));
    expect_broken();
  }
}

TEST_F(VhostSessionTest, PayloadsTooShortOrTooLong) {
  const std::array<std::uint8_t, 64> zeros{};
  for (const VhostRequest request :
       {VhostRequest::set_features, VhostRequest::set_protocol_features, VhostRequest::set_memory_table,
        VhostRequest::set_vring_size, VhostRequest::set_vring_address, VhostRequest::set_vring_base,
        VhostRequest::set_vring_kick, VhostRequest::set_vring_call, VhostRequest::get_vring_base,
        VhostRequest::set_vring_enable, VhostRequest::get_config}) {
    for (const std::size_t size : {0U, 4U, 7U, 64U}) {
      connect();
      front->send(request, ByteView(zeros).first(size));
      expect_broken();
    }
  }
}

TEST_F(VhostSessionTest, FeaturesThatWereNotOnOffer) {
  front->send_u64(VhostRequest::set_features, ~std::uint64_t{0});
  expect_broken();
  connect();
  front->send_u64(VhostRequest::set_protocol_features, ~std::uint64_t{0});
  expect_broken();
}

TEST_F(VhostSessionTest, KickWithoutADescriptor) {
  front->send_u64(VhostRequest::set_vring_kick, wire::encode_vhost_vring_fd({0, false}));
  expect_broken();
  connect();
  front->send_u64(VhostRequest::set_vring_kick, kick_word(0));
  expect_broken();
}

TEST_F(VhostSessionTest, RingSizesThatCannotBe) {
  for (const std::uint32_t size : {0U, 1025U, 0x10000U, 0xffffffffU}) {
    connect();
    front->send_state(VhostRequest::set_vring_size, 0, size);
    expect_broken();
  }
}

TEST_F(VhostSessionTest, RingsOutsideMemoryDoNotStart) {
  start();
  session->stop_all();
  const Fd kick(::dup(ram.file().get()));
  front->send(VhostRequest::set_vring_address,
              bytes_of(wire::VhostVringAddress{0, 0, ~std::uint64_t{0} - 15, 0x1000, 0x2000, 0}));
  front->send_u64(VhostRequest::set_vring_kick, kick_word(0), std::array{kick.get()});
  pump();
  EXPECT_TRUE(status);
  EXPECT_FALSE(session->queue(0).running());
  EXPECT_EQ(session->queue(0).take_fault(), RingFault::areas_not_in_memory);
}

TEST_F(VhostSessionTest, ShrunkMemoryFile) {
  GuestRam small(1 << 16);
  ASSERT_EQ(::ftruncate(small.file().get(), 4096), 0);
  std::array<std::uint8_t, wire::kVhostMaxPayload> table{};
  const std::size_t size = wire::encode_vhost_memory_table(small.table(), table);
  front->send(VhostRequest::set_memory_table, ByteView(table).first(size), std::array{small.file().get()});
  expect_broken();
}

TEST_F(VhostSessionTest, MemoryTableWithoutItsFiles) {
  std::array<std::uint8_t, wire::kVhostMaxPayload> table{};
  const std::size_t size = wire::encode_vhost_memory_table(ram.table(), table);
  front->send(VhostRequest::set_memory_table, ByteView(table).first(size));
  expect_broken();
}

TEST_F(VhostSessionTest, TheFrontEndLeaves) {
  start();
  front.reset();
  expect_broken();
}

TEST_F(VhostSessionTest, ANewMemoryTableMovesRunningRings) {
  start();
  tx.add(std::array{testing::DriverBuffer{ram.allocate(64), 64}});
  std::array<iovec, kMaxQueueSize> room{};
  Chain chain;
  ASSERT_TRUE(session->queue(1).pop(room, chain));
  std::array<std::uint8_t, wire::kVhostMaxPayload> table{};
  const std::size_t size = wire::encode_vhost_memory_table(ram.table(), table);
  front->send(VhostRequest::set_memory_table, ByteView(table).first(size), std::array{ram.file().get()});
  pump();
  ASSERT_TRUE(status);
  EXPECT_TRUE(session->queue(1).running());
  EXPECT_FALSE(session->queue(1).pop(room, chain)) << "the chain was taken before";
}

}  // namespace
}  // namespace microagent::virtio

#include "netd/tap_port.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <cstring>

#include "netstack/testing/datagram_fixture.h"

namespace microagent::netd {
namespace {

using namespace netstack::testing;

constexpr std::size_t kHeaders = sizeof(wire::NetHeader) + 14 + 20 + sizeof(wire::UdpHeader);

// A tap port between a make-believe guest's socket, of one frame a message as a tap is, and a real stack.
class TapPortTest : public DatagramFixture {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    guest.reset(ends[0]);
    const int room = 1 << 20;  // or what an ordinary user may have
    ASSERT_EQ(::setsockopt(guest.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    auto made = Poller::make();
    ASSERT_TRUE(made);
    poller.emplace(std::move(*made));
    auto opened = TapPort::open(Fd(ends[1]), *poller);
    ASSERT_TRUE(opened) << opened.error().message;
    port = std::move(*opened);
    flow = splice_pair(host);
  }

  // A frame on the tap with so many bytes, its virtio_net_hdr among them.
  Bytes say(std::size_t bytes, std::uint8_t fill) {
    const Bytes payload(bytes - kHeaders, fill);
    Bytes message(sizeof(wire::NetHeader));
    const Bytes frame = udp_frame(ends(), payload);
    message.insert(message.end(), frame.begin(), frame.end());
    EXPECT_EQ(message.size(), bytes);
    EXPECT_EQ(::send(guest.get(), message.data(), message.size(), 0), static_cast<ssize_t>(bytes));
    return payload;
  }

  Fd guest, host;
  std::optional<Poller> poller;
  std::unique_ptr<TapPort> port;
  netstack::FlowId flow = 0;
};

// Such as a sender that leaves its segmentation to the kernel makes: four of them fill the memory up to its last bytes,
// and a fifth must wait for the next batch.
TEST_F(TapPortTest, TheLargestFramesLieWithinTheirMemory) {
  const std::array<std::size_t, 5> sizes{65'536, 65'536, 65'561, 65'550, 65'561};
  std::vector<Bytes> said;
  for (const std::size_t size : sizes) said.push_back(say(size, static_cast<std::uint8_t>('a' + said.size())));
  std::size_t frames = 0;
  std::vector<Bytes> heard;
  while (const std::size_t count = port->receive(*stack, 64)) {
    EXPECT_LT(count, sizes.size());
    frames += count;
    stack->flush();
    while (const auto datagram = receive_from(host)) heard.push_back(*datagram);
  }
  EXPECT_EQ(frames, sizes.size());
  EXPECT_TRUE(heard == said) << heard.size() << " datagrams";
}

TEST_F(TapPortTest, ReadsAgainOnlyAfterAKick) {
  EXPECT_EQ(port->receive(*stack, 64), 0U);
  EXPECT_FALSE(port->await_frames());
  say(200, 'a');
  EXPECT_EQ(port->receive(*stack, 64), 0U);
  port->on_kick();
  EXPECT_TRUE(port->await_frames());
  EXPECT_EQ(port->receive(*stack, 64), 1U);
}

TEST_F(TapPortTest, AFrameShorterThanItsHeaderIsNone) {
  ASSERT_EQ(::send(guest.get(), "short", 5, 0), 5);
  say(200, 'a');
  std::size_t frames = 0;
  for (int turn = 0; turn < 4; ++turn, port->on_kick()) frames += port->receive(*stack, 64);
  EXPECT_EQ(frames, 1U);
}

}  // namespace
}  // namespace microagent::netd

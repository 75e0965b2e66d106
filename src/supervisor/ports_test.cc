#include "supervisor/ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "supervisor/sockets.h"

namespace microagent::supervisor {
namespace {

using testing::HasSubstr;
using workspace::Forward;
using workspace::Transport;

TEST(BindPorts, TakesFreeOnesForZero) {
  const auto ports = bind_ports({{Transport::tcp, "127.0.0.1", 0, 80}, {Transport::udp, "127.0.0.1", 0, 53}});
  ASSERT_TRUE(ports);
  ASSERT_EQ(ports->size(), 2U);
  for (const BoundPort& port : *ports) EXPECT_NE(port.forward.host_port, 0);
  EXPECT_EQ((*ports)[1].forward.guest_port, 53);
}

TEST(BindPorts, NamesWhatIsTaken) {
  for (const Transport protocol : {Transport::tcp, Transport::udp}) {
    const auto first = bind_ports({{protocol, "127.0.0.1", 0, 80}});
    ASSERT_TRUE(first);
    const Forward& forward = first->front().forward;
    const auto second = bind_ports({forward});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::conflict);
    EXPECT_THAT(second.error().message, HasSubstr("port " + std::to_string(forward.host_port)));
    EXPECT_THAT(second.error().message, HasSubstr(describe(forward)));
    EXPECT_FALSE(second.error().remediation.empty());
  }
}

TEST(BindPorts, KeepsUdpPortsFromThoseWhoWouldShare) {
  const auto ports = bind_ports({{Transport::udp, "127.0.0.1", 0, 53}});
  ASSERT_TRUE(ports);
  const auto address = local_address(ports->front().socket.get());
  const Fd intruder(::socket(AF_INET, SOCK_DGRAM, 0));
  const int on = 1;
  ASSERT_EQ(::setsockopt(intruder.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  ASSERT_EQ(::setsockopt(intruder.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
  EXPECT_NE(::bind(intruder.get(), address->get(), address->size), 0);
}

TEST(BindPorts, KeepsNothingWhenOneFails) {
  const auto taken = bind_ports({{Transport::tcp, "127.0.0.1", 0, 80}});
  ASSERT_TRUE(taken);
  auto free = bind_ports({{Transport::tcp, "127.0.0.1", 0, 81}});
  ASSERT_TRUE(free);
  const Forward wanted = free->front().forward;
  free->clear();
  EXPECT_FALSE(bind_ports({wanted, taken->front().forward}));
  EXPECT_TRUE(bind_ports({wanted}));
}

TEST(BindPorts, NamesAnAddressThatIsNotOurs) {
  const auto ports = bind_ports({{Transport::tcp, "192.0.2.1", 8080, 80}});
  ASSERT_FALSE(ports);
  EXPECT_THAT(ports.error().message, HasSubstr("no address 192.0.2.1"));
}

TEST(Describe, PutsBracketsAroundIpv6) {
  EXPECT_EQ(describe(Forward{Transport::tcp, "127.0.0.1", 8080, 80}), "127.0.0.1:8080:80/tcp");
  EXPECT_EQ(describe(Forward{Transport::udp, "::1", 53, 53}), "[::1]:53:53/udp");
}

}  // namespace
}  // namespace microagent::supervisor

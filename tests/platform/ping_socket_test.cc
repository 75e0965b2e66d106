// Ping sockets (icmp(7), SOCK_DGRAM with IPPROTO_ICMP), by which guests ping without privilege. Each in a network of
// its own, where they are granted.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#include <cerrno>

#include "own_network.h"

namespace microagent::platform {
namespace {

constexpr std::uint16_t kOurIdentifier = 0x1234, kSequence = 7;

Fd open_ping_socket() { return Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP)); }

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool connect_to(const Fd& ping, std::uint16_t port) {
  const sockaddr_in peer = loopback(port);
  return ::connect(ping.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0;
}

icmphdr message(std::uint8_t type) {
  icmphdr header{};
  header.type = type;
  header.un.echo.id = htons(kOurIdentifier);
  header.un.echo.sequence = htons(kSequence);
  return header;
}

#define EXPECT_IN_OWN_NETWORK(...)                                       \
  const auto outcome = in_own_network(__VA_ARGS__);                      \
  if (!outcome) GTEST_SKIP() << "this host gives no network namespaces"; \
  EXPECT_EQ(*outcome, 0) << "the step of that number is not as it is expected"

TEST(PingSocket, AnswersComeWithoutAnIpHeaderAndWithTheKernelsIdentifier) {
  EXPECT_IN_OWN_NETWORK([] {
    const Fd ping = open_ping_socket();
    if (!ping || !connect_to(ping, 1)) return 1;
    const icmphdr request = message(ICMP_ECHO);
    if (::send(ping.get(), &request, sizeof request, 0) != sizeof request) return 2;
    pollfd polled{ping.get(), POLLIN, 0};
    if (::poll(&polled, 1, 1000) != 1) return 3;
    icmphdr answer{};
    if (::recv(ping.get(), &answer, sizeof answer, 0) != sizeof answer) return 4;
    if (answer.type != ICMP_ECHOREPLY || ntohs(answer.un.echo.sequence) != kSequence) return 5;
    // So the guest's own must be put back.
    return ntohs(answer.un.echo.id) != kOurIdentifier ? 0 : 6;
  });
}

TEST(PingSocket, HasAPeerOnlyWithAPort) {
  EXPECT_IN_OWN_NETWORK([] {
    const Fd ping = open_ping_socket();
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    auto* generic = reinterpret_cast<sockaddr*>(&peer);
    if (!ping || !connect_to(ping, 0)) return 1;
    if (::getpeername(ping.get(), generic, &size) == 0 || errno != ENOTCONN) return 2;
    if (!connect_to(ping, 1)) return 3;
    return ::getpeername(ping.get(), generic, &size) == 0 && ntohl(peer.sin_addr.s_addr) == INADDR_LOOPBACK ? 0 : 4;
  });
}

TEST(PingSocket, SendsNothingButEchoRequests) {
  EXPECT_IN_OWN_NETWORK([] {
    const Fd ping = open_ping_socket();
    if (!ping || !connect_to(ping, 1)) return 1;
    const icmphdr redirect = message(ICMP_REDIRECT), reply = message(ICMP_ECHOREPLY);
    if (::send(ping.get(), &redirect, sizeof redirect, 0) >= 0) return 2;
    return ::send(ping.get(), &reply, sizeof reply, 0) < 0 ? 0 : 3;
  });
}

TEST(PingSocket, IsRefusedToGroupsThatMayNot) {
  EXPECT_IN_OWN_NETWORK([] {
    if (!write_text("/proc/sys/net/ipv4/ping_group_range", "1 0")) return 1;
    const Fd ping = open_ping_socket();
    return !ping && (errno == EACCES || errno == EPERM) ? 0 : 2;
  });
}

}  // namespace
}  // namespace microagent::platform

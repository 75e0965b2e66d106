#include "mediator/host_addresses.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace microagent::mediator {
namespace {

TEST(HostAddresses, HoldTheLoopback) {
  auto addresses = HostAddresses::open();
  ASSERT_TRUE(addresses);
  std::set<policy::Address> known;
  ASSERT_TRUE(addresses->refresh(known));
  EXPECT_TRUE(known.contains(*policy::parse_address("127.0.0.1")));
}

TEST(HostAddresses, AreReadAgainOnlyAfterAChange) {
  auto addresses = HostAddresses::open();
  ASSERT_TRUE(addresses);
  std::set<policy::Address> known;
  ASSERT_TRUE(addresses->refresh(known));
  known.clear();
  ASSERT_TRUE(addresses->refresh(known));
  EXPECT_TRUE(known.empty());
}

// In a network namespace of its own: 0 when the address of the interface that comes up is seen, 2 where the host allows
// no such namespace.
int watch_loopback_come_up() {
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return 2;
  const policy::Address loopback = *policy::parse_address("127.0.0.1");
  auto addresses = HostAddresses::open();
  std::set<policy::Address> known;
  if (!addresses || !addresses->refresh(known) || known.contains(loopback)) return 1;

  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_LOOPBACK;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return 1;
  return addresses->refresh(known) && known.contains(loopback) ? 0 : 1;
}

TEST(HostAddresses, FollowChanges) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(watch_loopback_come_up());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "this host allows no network namespace";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace microagent::mediator

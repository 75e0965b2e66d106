#include "cli/host_probes.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/fd.h"

namespace microagent::cli {
namespace {

using testing::HasSubstr;
using workspace::Forward;
using workspace::Transport;

const Result<std::filesystem::path> kNowhere = fail(ErrorKind::permanent, "no state");

TEST(KernelProbe, PassesHere) {
  const Check check = probe_kernel();
  EXPECT_TRUE(check.passed) << check.detail;
  EXPECT_THAT(check.detail, HasSubstr("Linux "));
}

TEST(ClockProbe, JudgesByTheProgramsAge) {
  const Check early = judge_clock(0, 1'700'000'000, true);
  EXPECT_FALSE(early.passed);
  EXPECT_THAT(early.detail, HasSubstr("1970-01-01 00:00 UTC"));
  EXPECT_THAT(early.remedy, HasSubstr("timedatectl"));
  EXPECT_TRUE(judge_clock(1'700'000'001, 1'700'000'000, true).passed);
  const Check alone = judge_clock(1'700'000'001, 1'700'000'000, false);
  EXPECT_FALSE(alone.passed);
  EXPECT_FALSE(alone.required);
}

TEST(PortProbe, NamesAPortThatIsTaken) {
  const Fd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const Forward forward{Transport::tcp, "127.0.0.1", ntohs(address.sin_port), 80};
  const Check check = probe_ports(kNowhere, {forward});
  EXPECT_FALSE(check.passed);
  EXPECT_FALSE(check.required);
  EXPECT_THAT(check.detail, HasSubstr(std::to_string(forward.host_port)));
  EXPECT_THAT(check.remedy, HasSubstr("other ports"));
}

TEST(PortProbe, AFreePortIsWhatIsAskedForByZero) {
  const Check check = probe_ports(kNowhere, {Forward{Transport::udp, "::1", 0, 53}});
  EXPECT_TRUE(check.passed) << check.detail;
}

}  // namespace
}  // namespace microagent::cli

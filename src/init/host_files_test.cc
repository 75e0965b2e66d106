#include "init/host_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::init {
namespace {

using testing::ElementsAre;

TEST(HostFiles, NameTheHost) {
  wire::GuestConfig config;
  EXPECT_EQ(hosts_text(config), "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
  config.hostname = "web";
  EXPECT_THAT(hosts_text(config), testing::EndsWith("\n127.0.1.1 web\n"));
  config.network = wire::GuestNetwork{};
  config.network->ip = "192.168.64.2/24";
  config.network->ip6 = "2001:db8::2/64";
  EXPECT_THAT(hosts_text(config), testing::EndsWith("\n192.168.64.2 web\n2001:db8::2 web\n"));
}

TEST(HostFiles, ResolversSurviveTheRoundTrip) {
  const std::vector<std::string> dns{"192.168.64.1", "2001:db8::53"};
  EXPECT_EQ(resolv_conf_text(dns), "nameserver 192.168.64.1\nnameserver 2001:db8::53\n");
  EXPECT_EQ(resolvers_of(resolv_conf_text(dns)), dns);
}

TEST(HostFiles, ReadsWhatOthersPutIntoResolvConf) {
  EXPECT_THAT(resolvers_of("# comment\nsearch lan\nnameserver host\nnameserver 192.0.2.1"), ElementsAre("192.0.2.1"));
  std::string many;
  for (int i = 0; i < 20; ++i) many += "nameserver 192.0.2.1\n";
  EXPECT_EQ(resolvers_of(many).size(), wire::kMaxGuestDns);
}

}  // namespace
}  // namespace microagent::init

#include "dns/resolvers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace microagent::dns {
namespace {

using testing::ElementsAre;

std::vector<std::string> texts(const std::vector<Resolver>& resolvers) {
  std::vector<std::string> all;
  for (const Resolver& resolver : resolvers) all.push_back(to_string(resolver));
  return all;
}

TEST(ResolvConf, YieldsItsFirstThreeNameservers) {
  EXPECT_THAT(texts(parse_resolv_conf(
                  "# a comment\nsearch example.com\nnameserver 192.0.2.1\n\tnameserver\t2001:db8::1 # more\n"
                  "nameserver bad\nnameserver 127.0.0.53\nnameserver 192.0.2.4\noptions edns0")),
              ElementsAre("192.0.2.1:53", "[2001:db8::1]:53", "127.0.0.53:53"));
  EXPECT_TRUE(parse_resolv_conf("").empty());
  EXPECT_TRUE(parse_resolv_conf("nameserver\nnameservers 192.0.2.1\n;nameserver 192.0.2.1").empty());
}

TEST(ResolvConf, ResolvesTheInterfaceOfALinkLocalAddress) {
  const auto resolvers = parse_resolv_conf("nameserver fe80::1%lo\nnameserver fe80::1%nosuch0");
  ASSERT_EQ(resolvers.size(), 1U);
  EXPECT_NE(resolvers[0].scope, 0U);
}

TEST(ResolverList, FollowsItsFile) {
  const std::string path = testing::TempDir() + "resolv-" + std::to_string(::getpid());
  ResolverList list{std::filesystem::path(path)};
  EXPECT_TRUE(list.current().empty());
  std::ofstream(path) << "nameserver 192.0.2.1\n";
  EXPECT_THAT(texts(list.current()), ElementsAre("192.0.2.1:53"));
  std::ofstream(path) << "nameserver 192.0.2.1\nnameserver 192.0.2.2\n";
  EXPECT_THAT(texts(list.current()), ElementsAre("192.0.2.1:53", "192.0.2.2:53"));
  ::unlink(path.c_str());
  EXPECT_TRUE(list.current().empty());
}

TEST(ResolverList, KeepsWhatWasDeclared) {
  ResolverList list(std::vector{Resolver{*policy::parse_address("192.0.2.9")}});
  EXPECT_THAT(texts(list.current()), ElementsAre("192.0.2.9:53"));
}

}  // namespace
}  // namespace microagent::dns

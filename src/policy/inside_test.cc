#include "policy/inside.h"

#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

std::string why(std::string_view address, const Surroundings& surroundings = {}) {
  return inside(*parse_address(address), surroundings).value_or("public");
}

struct Case {
  const char* name;
  std::vector<const char*> addresses;  // first, last and one between
  const char* reason;
};

class InsideRange : public testing::TestWithParam<Case> {};

TEST_P(InsideRange, HoldsItsEdges) {
  for (const char* address : GetParam().addresses) EXPECT_EQ(why(address), GetParam().reason) << address;
}

INSTANTIATE_TEST_SUITE_P(
    All, InsideRange,
    testing::Values(
        Case{"ThisNetwork", {"0.0.0.0", "0.1.2.3", "0.255.255.255"}, "this network 0.0.0.0/8"},
        Case{"Private10", {"10.0.0.0", "10.43.0.1", "10.255.255.255"}, "private 10.0.0.0/8"},
        Case{"CarrierNat", {"100.64.0.0", "100.100.100.200", "100.127.255.255"}, "carrier-grade NAT 100.64.0.0/10"},
        Case{"Loopback", {"127.0.0.0", "127.0.0.1", "127.255.255.255"}, "loopback 127.0.0.0/8"},
        Case{"Metadata", {"169.254.0.0", "169.254.169.254", "169.254.255.255"}, "link-local 169.254.0.0/16"},
        Case{"Private172", {"172.16.0.0", "172.17.0.1", "172.31.255.255"}, "private 172.16.0.0/12"},
        Case{"Protocol", {"192.0.0.0", "192.0.0.170", "192.0.0.255"}, "protocol assignments 192.0.0.0/24"},
        Case{"Private192", {"192.168.0.0", "192.168.64.1", "192.168.255.255"}, "private 192.168.0.0/16"},
        Case{"Benchmark", {"198.18.0.0", "198.19.0.1", "198.19.255.255"}, "benchmarking 198.18.0.0/15"},
        Case{"Multicast", {"224.0.0.0", "239.1.2.3", "239.255.255.255"}, "multicast 224.0.0.0/4"},
        Case{"Broadcast", {"255.255.255.255"}, "broadcast 255.255.255.255/32"},
        Case{"Reserved", {"240.0.0.0", "250.0.0.1", "255.255.255.254"}, "reserved 240.0.0.0/4"},
        Case{"Unspecified6", {"::"}, "unspecified ::/128"}, Case{"Loopback6", {"::1"}, "loopback ::1/128"},
        Case{"LocalNat64",
             {"64:ff9b:1::", "64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"},
             "local NAT64 64:ff9b:1::/48"},
        Case{"UniqueLocal", {"fc00::", "fd12::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "unique local fc00::/7"},
        Case{"LinkLocal6", {"fe80::", "fe80::1", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "link-local fe80::/10"},
        Case{"SiteLocal", {"fec0::", "fec0::1", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "site-local fec0::/10"},
        Case{"Multicast6", {"ff00::", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "multicast ff00::/8"}),
    [](const auto& info) { return info.param.name; });

TEST(Inside, EndsWhereThePublicInternetBegins) {
  for (const char* address :
       {"1.0.0.0",   "9.255.255.255",   "11.0.0.0",    "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",  "191.255.255.255",
        "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",  "223.255.255.255",
        "2000::",    "2606:4700::1111", "fbff::1",     "fe00::1",        "64:ff9c::"}) {
    EXPECT_EQ(why(address), "public") << address;
  }
}

TEST(Inside, LeavesTheDocumentationNetsPublic) {
  for (const char* address : {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"}) {
    EXPECT_EQ(why(address), "public");
  }
}

TEST(Inside, JudgesCarriedIpv4AsWhatItReaches) {
  EXPECT_EQ(why("::ffff:127.0.0.1"), "IPv4-mapped of loopback 127.0.0.0/8");
  EXPECT_EQ(why("::ffff:0:10.0.0.1"), "IPv4-translated of private 10.0.0.0/8");
  EXPECT_EQ(why("::169.254.169.254"), "IPv4-compatible of link-local 169.254.0.0/16");
  EXPECT_EQ(why("64:ff9b::169.254.169.254"), "NAT64 of link-local 169.254.0.0/16");
  EXPECT_EQ(why("2002:7f00:1::"), "6to4 of loopback 127.0.0.0/8");
  EXPECT_EQ(why("2002:c0a8:4001:1::5"), "6to4 of private 192.168.0.0/16");
  EXPECT_EQ(why("2001:0:0a00:1::f7f7:f7f7"), "Teredo server of private 10.0.0.0/8");
  EXPECT_EQ(why("2001:0:808:808::80ff:fffe"), "Teredo client of loopback 127.0.0.0/8");
  for (const char* address : {"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::", "2001:0:808:808::f7f7:f7f7"}) {
    EXPECT_EQ(why(address), "public") << address;
  }
}

TEST(Inside, HoldsTheHostAndTheWorkspacesOwnSubnet) {
  Surroundings surroundings;
  surroundings.host = {*parse_address("203.0.113.7"), *parse_address("2001:db8::7")};
  surroundings.subnet = parse_cidr("198.51.100.0/28");
  EXPECT_EQ(why("203.0.113.7", surroundings), "an address of the host");
  EXPECT_EQ(why("2001:db8::7", surroundings), "an address of the host");
  EXPECT_EQ(why("203.0.113.8", surroundings), "public");
  EXPECT_EQ(why("198.51.100.15", surroundings), "the workspace's own subnet 198.51.100.0/28");
  EXPECT_EQ(why("198.51.100.16", surroundings), "public");
  EXPECT_EQ(why("64:ff9b::203.0.113.7", surroundings), "NAT64 of an address of the host");
}

}  // namespace
}  // namespace microagent::policy

#include "mediator/endpoint.h"

#include <gtest/gtest.h>

namespace microagent::mediator {
namespace {

TEST(Endpoint, RoundTripsAddresses) {
  for (const char* text : {"192.0.2.1", "2001:db8::1"}) {
    const auto address = *policy::parse_address(text);
    EXPECT_EQ(address_of(endpoint_of(address, 80)), address);
    EXPECT_EQ(host_text(endpoint_of(address, 80)), text);
    EXPECT_FALSE(vsock_cid(endpoint_of(address, 80)));
  }
  EXPECT_EQ(vsock_cid(vsock_endpoint(2, 1020)), 2U);
  EXPECT_FALSE(address_of(vsock_endpoint(2, 1020)));
}

TEST(Endpoint, ReadsAsPeopleWriteIt) {
  const flow::Endpoint ipv4 = endpoint_of(*policy::parse_address("192.0.2.1"), 80);
  EXPECT_EQ(endpoint_text(ipv4, flow::Protocol::tcp), "192.0.2.1:80");
  EXPECT_EQ(endpoint_text(ipv4, flow::Protocol::icmp_echo), "192.0.2.1");
  EXPECT_EQ(endpoint_text(endpoint_of(*policy::parse_address("2001:db8::1"), 80), flow::Protocol::udp),
            "[2001:db8::1]:80");
  EXPECT_EQ(endpoint_text(vsock_endpoint(2, 1020), flow::Protocol::vsock), "vsock:2:1020");
  EXPECT_EQ(endpoint_text({}, flow::Protocol::tcp), "unknown:0");
  EXPECT_EQ(protocol_text(static_cast<flow::Protocol>(99)), "unknown");
}

}  // namespace
}  // namespace microagent::mediator

#include "http/authority.h"

#include <gtest/gtest.h>

namespace microagent::http {
namespace {

TEST(Authority, TakesNamesAddressesAndPorts) {
  EXPECT_EQ(parse_authority("a.example"), (Authority{"a.example", {}, {}}));
  EXPECT_EQ(parse_authority("a.example:"), (Authority{"a.example", {}, {}}));
  EXPECT_EQ(parse_authority("a.example:65535"), (Authority{"a.example", {}, 65535}));
  EXPECT_EQ(parse_authority("192.0.2.1:80"), (Authority{"", policy::parse_address("192.0.2.1"), 80}));
  EXPECT_EQ(parse_authority("[2001:db8::1]:80"), (Authority{"", policy::parse_address("2001:db8::1"), 80}));
}

TEST(Authority, RefusesEverythingElse) {
  for (const std::string_view text : {"", ":80", "a.example:80:80", "a.example: 80", "a.example:080000", "[a.example]",
                                      "[2001:db8::1]x", "[2001:db8::1%1]", "2001:db8::1", "192.0.2.1.", "192.0.2"}) {
    EXPECT_FALSE(parse_authority(text)) << text;
  }
}

}  // namespace
}  // namespace microagent::http

#include "dns/name_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::dns {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const policy::Address kA = *policy::parse_address("203.0.113.1"), kB = *policy::parse_address("2001:db8::1");
const Time kStart{};

Bindings told(std::vector<std::string> names, policy::Address address, std::uint32_t ttl) {
  return {std::move(names), {address}, ttl};
}

policy::Address numbered(std::size_t i) {
  return policy::Address::ipv4(
      {10, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
}

TEST(NameTable, RemembersAllNamesOfAnAddress) {
  NameTable table;
  table.bind(told({"a.com", "edge.net"}, kA, 300), kStart);
  table.bind(told({"b.com"}, kA, 300), kStart);
  table.bind(told({"c.com"}, kB, 300), kStart);
  EXPECT_THAT(table.names_of(kA, kStart), ElementsAre("b.com", "edge.net", "a.com"));
  EXPECT_THAT(table.names_of(kB, kStart), ElementsAre("c.com"));
  EXPECT_THAT(table.names_of(*policy::parse_address("::ffff:203.0.113.1"), kStart), testing::SizeIs(3));
  EXPECT_THAT(table.names_of(*policy::parse_address("203.0.113.2"), kStart), IsEmpty());
  table.bind(told({"a.com"}, kA, 300), kStart);
  EXPECT_THAT(table.names_of(kA, kStart), ElementsAre("a.com", "b.com", "edge.net"));
}

TEST(NameTable, ForgetsThemWithTheirTimeToLive) {
  NameTable table;
  table.bind(told({"a.com"}, kA, 300), kStart);
  table.bind(told({"b.com"}, kA, 100), kStart);
  table.bind(told({"zero.com"}, kB, 0), kStart);
  EXPECT_THAT(table.names_of(kB, kStart + NameTable::kMinBinding - seconds(1)), ElementsAre("zero.com"));
  EXPECT_THAT(table.names_of(kB, kStart + NameTable::kMinBinding), IsEmpty());
  EXPECT_THAT(table.names_of(kA, kStart + seconds(100)), ElementsAre("a.com"));
  EXPECT_THAT(table.names_of(kA, kStart + seconds(300)), IsEmpty());
  table.bind(told({"c.com"}, kB, 300), kStart + seconds(300));
  EXPECT_EQ(table.size(), 1U);
}

TEST(NameTable, AShorterAnswerDoesNotCutALongerOne) {
  NameTable table;
  table.bind(told({"a.com"}, kA, 300), kStart);
  table.bind(told({"a.com"}, kA, 10), kStart + seconds(10));
  EXPECT_THAT(table.names_of(kA, kStart + seconds(299)), ElementsAre("a.com"));
}

TEST(NameTable, KeepsThemWhileFlowsPinThem) {
  NameTable table;
  table.bind(told({"a.com"}, kA, 100), kStart);
  {
    Pin first(table, kA);
    Pin second(table, kA);
    first = Pin();
    table.bind(told({"b.com"}, kA, 100), kStart + seconds(500));
    table.bind(told({"c.com"}, kB, 100), kStart + seconds(500));
    EXPECT_THAT(table.names_of(kA, kStart + seconds(1000)), ElementsAre("b.com", "a.com"));
  }
  EXPECT_THAT(table.names_of(kA, kStart + seconds(1000)), IsEmpty());
  table.bind(told({"c.com"}, kB, 100), kStart + seconds(1000));
  EXPECT_EQ(table.size(), 1U);
}

TEST(NameTable, PinsWhatHasNoNameYet) {
  NameTable table;
  Pin pin(table, kA);
  EXPECT_THAT(table.names_of(kA, kStart), IsEmpty());
  table.bind(told({"a.com"}, kA, 100), kStart);
  EXPECT_THAT(table.names_of(kA, kStart + seconds(500)), ElementsAre("a.com"));
  pin = Pin();
  Pin(table, kB);
  table.bind(told({"c.com"}, numbered(1), 100), kStart + seconds(500));
  EXPECT_EQ(table.size(), 1U);
}

TEST(NameTable, IsBoundedAndLosesFirstWhatEndsFirst) {
  NameTable table;
  table.bind(told({"pinned.com"}, kA, 100), kStart);
  const Pin pin(table, kA);
  table.bind(told({"long.com"}, kB, 10'000), kStart);
  for (std::size_t i = 0; i < NameTable::kMaxAddresses + 100; ++i)
    table.bind(told({"x.com"}, numbered(i), 200), kStart);
  EXPECT_EQ(table.size(), NameTable::kMaxAddresses);
  EXPECT_THAT(table.names_of(kA, kStart), ElementsAre("pinned.com"));
  EXPECT_THAT(table.names_of(kB, kStart), ElementsAre("long.com"));
}

TEST(NameTable, BoundsTheNamesOfAnAddress) {
  NameTable table;
  for (int i = 0; i < 100; ++i) table.bind(told({"n" + std::to_string(i)}, kA, 300), kStart);
  const auto names = table.names_of(kA, kStart);
  EXPECT_EQ(names.size(), NameTable::kMaxNames);
  EXPECT_EQ(names.front(), "n99");
}

}  // namespace
}  // namespace microagent::dns

#include "dns/service_parameters.h"

#include <gtest/gtest.h>

#include "dns/test_messages.h"

namespace microagent::dns {
namespace {

Bytes service(std::initializer_list<std::pair<unsigned, Bytes>> parameters) {
  Bytes data{0, 1};
  const Bytes target = test_name("svc.example");
  data.insert(data.end(), target.begin(), target.end());
  for (const auto& [key, value] : parameters) {
    put16(data, key);
    put16(data, static_cast<unsigned>(value.size()));
    data.insert(data.end(), value.begin(), value.end());
  }
  return data;
}

const Bytes kAlpn{2, 'h', '2'}, kV4{203, 0, 113, 1, 203, 0, 113, 2}, kKeys{1, 2, 3};

TEST(ServiceParameters, LoseEchAndNothingElse) {
  EXPECT_EQ(without_ech(service({{1, kAlpn}, {4, kV4}, {5, kKeys}, {6, Bytes(16)}, {9999, {}}})),
            service({{1, kAlpn}, {4, kV4}, {6, Bytes(16)}, {9999, {}}}));
  const Bytes none = service({{1, kAlpn}});
  EXPECT_EQ(without_ech(none), none);
  EXPECT_EQ(without_ech(service({})), service({}));
  EXPECT_EQ(without_ech(Bytes{0, 0, 0}), (Bytes{0, 0, 0}));  // AliasMode to the root
}

TEST(ServiceParameters, LoseEchAmongTheMandatoryToo) {
  EXPECT_EQ(without_ech(service({{0, {0, 1, 0, 5}}, {1, kAlpn}, {5, kKeys}})), service({{0, {0, 1}}, {1, kAlpn}}));
  EXPECT_EQ(without_ech(service({{0, {0, 5}}, {5, kKeys}})), service({}));
  EXPECT_FALSE(without_ech(service({{0, {0, 5, 0}}})));
}

TEST(ServiceParameters, AreRefusedWhenMalformed) {
  const Bytes whole = service({{1, kAlpn}, {5, kKeys}});
  const std::size_t front = service({}).size(), first = service({{1, kAlpn}}).size();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const bool cut_between = length == front || length == first;
    EXPECT_EQ(without_ech(ByteView(whole).first(length)).has_value(), cut_between) << length;
  }
  EXPECT_FALSE(without_ech(service({{5, kKeys}, {1, kAlpn}})));  // not in order, as RFC 9460, 2.2 wants it
  EXPECT_FALSE(without_ech(service({{5, kKeys}, {5, kKeys}})));
  EXPECT_FALSE(without_ech(Bytes{0, 1, 0xc0, 0x0c}));  // a compressed target
}

TEST(ServiceParameters, HintAtAddresses) {
  const Bytes data = service({{4, kV4}, {6, Bytes(32)}});
  const auto hints = address_hints(data);
  ASSERT_EQ(hints.size(), 4U);
  EXPECT_EQ(hints[1][3], 2);
  EXPECT_EQ(hints[2].size(), 16U);
  EXPECT_TRUE(address_hints(service({{1, kAlpn}})).empty());
  const Bytes odd = service({{4, {1, 2, 3, 4, 5}}});
  EXPECT_EQ(address_hints(odd).size(), 1U);
  EXPECT_TRUE(address_hints(Bytes{0}).empty());
}

}  // namespace
}  // namespace microagent::dns

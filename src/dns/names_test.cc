#include "dns/names.h"

#include <gtest/gtest.h>

#include "dns/test_messages.h"

namespace microagent::dns {
namespace {

TEST(Names, AreReadableWhateverTheyHold) {
  EXPECT_EQ(name_text(test_name("www.Example.com")), "www.Example.com");
  EXPECT_EQ(name_text(test_name("")), ".");
  EXPECT_EQ(name_text(test_name("_sip._tcp.a-b")), "_sip._tcp.a-b");
  EXPECT_EQ(name_text(Bytes{3, 'a', '.', '\n', 1, 0xff, 0}), "a\\046\\010.\\255");
}

TEST(Names, CompareWithoutCase) {
  EXPECT_TRUE(same_name(test_name("WWW.example.COM"), test_name("www.EXAMPLE.com")));
  EXPECT_FALSE(same_name(test_name("www.example.com"), test_name("www.example.org")));
  EXPECT_FALSE(same_name(test_name("a.bc"), test_name("ab.c")));
}

TEST(Names, HaveAWireForm) {
  EXPECT_EQ(wire_name("www.example.com"), test_name("www.example.com"));
  EXPECT_EQ(wire_name(""), Bytes{0});
  EXPECT_EQ(name_text(wire_name("a.b")), "a.b");
}

TEST(Names, KnowTypes) {
  EXPECT_EQ(type_text(1), "A");
  EXPECT_EQ(type_text(65), "HTTPS");
  EXPECT_EQ(type_text(4711), "TYPE4711");
}

}  // namespace
}  // namespace microagent::dns

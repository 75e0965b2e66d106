#include "init/trust_java.h"

#include <gtest/gtest.h>

namespace microagent::init {
namespace {

const std::string kStore =
    "-Djavax.net.ssl.trustStoreType=jks -Djavax.net.ssl.trustStore=/etc/microagent/egress-ca-trust.jks";

std::string options(const Environment& environment) {
  return std::string(value_of(with_java_store(environment), "JAVA_TOOL_OPTIONS"));
}

TEST(JavaStore, IsNamedBehindWhatIsSaidAlready) {
  EXPECT_EQ(options({}), kStore);
  EXPECT_EQ(options({"JAVA_TOOL_OPTIONS="}), kStore);
  EXPECT_EQ(options({"A=b", "JAVA_TOOL_OPTIONS=-Xmx1g -Da='b c'"}), "-Xmx1g -Da='b c' " + kStore);
  EXPECT_EQ(with_java_store({"A=b", "JAVA_TOOL_OPTIONS=-Xmx1g"}).size(), 2U);
}

TEST(JavaStore, IsNamedOnceAndGivesWayToAnother) {
  EXPECT_EQ(with_java_store(with_java_store({})), with_java_store({}));
  EXPECT_EQ(options({"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/mine -Xmx1g"}),
            "-Djavax.net.ssl.trustStore=/mine -Xmx1g");
}

TEST(JavaStore, IsFoundWhereItIsNamed) {
  EXPECT_FALSE(names_java_store({}));
  EXPECT_FALSE(names_java_store({"JAVA_TOOL_OPTIONS=-Xmx1g"}));
  EXPECT_TRUE(names_java_store(with_java_store({"JAVA_TOOL_OPTIONS=-Xmx1g"})));
}

}  // namespace
}  // namespace microagent::init

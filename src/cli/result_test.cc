#include <gtest/gtest.h>

#include "cli/result_record.h"

namespace microagent::cli {
namespace {

std::string record(const std::string& content) { return result_record(content).dump(); }

TEST(ResultRecord, IsTheValueThatItIs) {
  EXPECT_EQ(record(R"({"answer": 42})"), R"({"bytes":14,"result":{"answer":42}})");
  EXPECT_EQ(record("[1]\n"), R"({"bytes":4,"result":[1]})");
}

TEST(ResultRecord, IsTextWhereItIsNoJson) {
  EXPECT_EQ(record("done\n"), R"({"bytes":5,"result":"done\n"})");
  EXPECT_EQ(record(""), R"({"bytes":0,"result":""})");
}

TEST(ResultRecord, IsBase64WhereItIsNoText) {
  EXPECT_EQ(record("\xff"), R"({"bytes":1,"resultBase64":"/w=="})");
  EXPECT_EQ(record("\xff\xfe"), R"({"bytes":2,"resultBase64":"//4="})");
  EXPECT_EQ(record("\xff\xfe\x01"), R"({"bytes":3,"resultBase64":"//4B"})");
  EXPECT_EQ(record("\xff\xfe\x01\x02"), R"({"bytes":4,"resultBase64":"//4BAg=="})");
}

}  // namespace
}  // namespace microagent::cli

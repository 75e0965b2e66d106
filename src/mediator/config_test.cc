#include "mediator/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

Json whole() {
  return Json::parse(R"({"workspace":"web","mode":"user","auditFile":"/x/egress.jsonl",
      "egress":{"mode":"broker","allow":[{"rule":"10.0.0.0/8:80","place":"--egress-allow"}]},
      "network":{"ip":"192.168.64.2/24","subnet":"192.168.64.0/24","gateway":"192.168.64.1","dns":["192.0.2.53"]}})");
}

TEST(Config, IsReadWhole) {
  const auto config = parse_config(whole().dump());
  ASSERT_TRUE(config);
  EXPECT_EQ(config->workspace, "web");
  EXPECT_EQ(config->audit_file, "/x/egress.jsonl");
  ASSERT_EQ(config->egress.allow.size(), 1U);
  EXPECT_EQ(config->egress.allow[0].destination, "10.0.0.0/8:80");
  ASSERT_TRUE(config->network);
  EXPECT_EQ(policy::to_string(config->network->subnet), "192.168.64.0/24");
  EXPECT_EQ(policy::to_string(config->network->gateway), "192.168.64.1");
  EXPECT_EQ(config->network->declared_dns, std::vector{*policy::parse_address("192.0.2.53")});
}

TEST(Config, MayNameMoreToTrust) {
  EXPECT_TRUE(parse_config(whole().dump())->trust.empty());
  Json trusting = whole();
  trusting["trust"] = {"one", "two"};
  EXPECT_THAT(parse_config(trusting.dump())->trust, testing::ElementsAre("one", "two"));
  trusting["trust"] = "one";
  EXPECT_THAT(parse_config(trusting.dump()).error().message, HasSubstr("trust"));
}

TEST(Config, MayHaveSwaps) {
  EXPECT_TRUE(parse_config(whole().dump())->swaps.empty());
  Json swapping = whole();
  swapping["swaps"] = Json::parse(R"([{"name":"a","place":"--cred-swap a",
      "fields":{"type":"static","domains":["a.example"],"key_ref":"env:A"}}])");
  const auto config = parse_config(swapping.dump());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_NE(config->swaps.find("a.example"), nullptr);
  swapping["swaps"][0]["fields"]["surplus"] = 1;
  EXPECT_THAT(parse_config(swapping.dump()).error().message, HasSubstr("surplus"));
  swapping["swaps"] = "a";
  EXPECT_THAT(parse_config(swapping.dump()).error().message, HasSubstr("swaps"));
}

TEST(Config, NeedsNoNetworkWhenIsolated) {
  Json isolated = whole();
  isolated["mode"] = "isolated";
  EXPECT_FALSE(parse_config(isolated.dump())->network);
  isolated.erase("network");
  EXPECT_FALSE(parse_config(isolated.dump())->network);
}

TEST(Config, SaysWhichKeyIsWrong) {
  const auto error_with = [](const char* pointer, const Json& value) {
    Json changed = whole();
    changed[Json::json_pointer(pointer)] = value;
    const auto config = parse_config(changed.dump());
    EXPECT_FALSE(config) << pointer;
    return config ? std::string() : config.error().message;
  };
  EXPECT_THAT(error_with("/mode", "open"), HasSubstr("mode"));
  EXPECT_THAT(error_with("/workspace", 1), HasSubstr("workspace"));
  EXPECT_THAT(error_with("/egress/mode", "open"), HasSubstr("egress.mode"));
  EXPECT_THAT(error_with("/egress/allow", "10.0.0.0/8"), HasSubstr("egress.allow"));
  EXPECT_THAT(error_with("/egress/allow/0/rule", 80), HasSubstr("egress.allow[0].rule"));
  EXPECT_THAT(error_with("/surplus", true), HasSubstr("surplus"));
  EXPECT_THAT(error_with("/network/surplus", true), HasSubstr("network.surplus"));
  EXPECT_THAT(error_with("/network/subnet", "192.168.64.0"), HasSubstr("network.subnet"));
  EXPECT_THAT(error_with("/network/gateway", "gw"), HasSubstr("network.gateway"));
  EXPECT_THAT(error_with("/network/dns/0", ""), HasSubstr("network.dns"));
  for (const char* key : {"workspace", "mode", "auditFile", "egress", "network"}) {
    Json missing = whole();
    missing.erase(key);
    const auto config = parse_config(missing.dump());
    ASSERT_FALSE(config) << key;
    EXPECT_THAT(config.error().message, HasSubstr(key));
  }
}

TEST(Config, IsRefusedAtEveryTruncation) {
  const std::string text = whole().dump();
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(parse_config(text.substr(0, length))) << length;
  }
}

TEST(Config, ComesFromAFileWhateverItsOffset) {
  const std::string text = whole().dump();
  const Fd file(::memfd_create("config", MFD_CLOEXEC));
  ASSERT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_TRUE(read_config(file.get()));
  EXPECT_FALSE(read_config(-1));
}

}  // namespace
}  // namespace microagent::mediator

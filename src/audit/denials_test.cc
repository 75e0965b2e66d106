#include "audit/denials.h"

#include <gtest/gtest.h>

#include "audit/test_log.h"

namespace microagent::audit {
namespace {

using std::chrono::seconds;

const Denials::Time kStart{};

class DenialsTest : public testing::Test {
 protected:
  std::string deny(const char* host, Denials::Time now, const char* source = "192.168.64.2:1") {
    const auto id =
        denials_.record(Event::deny, {{"host", host}, {"src", source}, {"rule", "lockAllowlist: not listed"}}, now);
    EXPECT_TRUE(id);
    return id.value_or("");
  }

  TestLog log_;
  Writer writer_ = std::move(*log_.open());
  int ids_ = 0;
  Denials denials_{writer_, [this] { return "d-" + std::to_string(++ids_); }};
};

TEST_F(DenialsTest, WritesTheFirstAtOnce) {
  EXPECT_EQ(deny("a.com", kStart), "d-1");
  const auto records = log_.records();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0]["event"], "egress_deny");
  EXPECT_EQ(records[0]["host"], "a.com");
  EXPECT_EQ(records[0]["decision"], "d-1");
  EXPECT_EQ(records[0]["flow"], 1);
  EXPECT_FALSE(records[0].contains("count"));
}

TEST_F(DenialsTest, CountsTheOthersIntoOneRecord) {
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(deny("a.com", kStart, std::to_string(i).c_str()), "d-1");
  EXPECT_EQ(log_.records().size(), 1U);
  EXPECT_EQ(denials_.deadline(), kStart + Denials::kWindow);
  ASSERT_TRUE(denials_.flush(kStart + Denials::kWindow - seconds(1)));
  EXPECT_EQ(log_.records().size(), 1U);
  ASSERT_TRUE(denials_.flush(kStart + Denials::kWindow));
  const auto records = log_.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1]["count"], 999);
  EXPECT_EQ(records[1]["decision"], "d-1");
  EXPECT_EQ(records[1]["host"], "a.com");
  EXPECT_FALSE(records[1].contains("src"));
  EXPECT_EQ(denials_.deadline(), Denials::Time::max());
}

TEST_F(DenialsTest, BeginsAnewWhenTheWindowIsOver) {
  deny("a.com", kStart);
  deny("a.com", kStart);
  EXPECT_EQ(deny("a.com", kStart + Denials::kWindow), "d-2");
  EXPECT_EQ(log_.records().size(), 3U);
}

TEST_F(DenialsTest, TellsKindsApart) {
  EXPECT_EQ(deny("a.com", kStart), "d-1");
  EXPECT_EQ(deny("b.com", kStart), "d-2");
  EXPECT_EQ(*denials_.record(Event::udp_deny, {{"host", "a.com"}, {"rule", "lockAllowlist: not listed"}}, kStart),
            "d-3");
  EXPECT_EQ(*denials_.record(Event::deny, {{"host", "a.com"}, {"rule", "other"}}, kStart), "d-4");
  EXPECT_EQ(log_.records().size(), 4U);
}

TEST_F(DenialsTest, MissesNoneHoweverManyKindsThereAre) {
  std::uint64_t denied = 0;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < 2 * Denials::kMaxKinds; ++i, ++denied) {
      deny(("h" + std::to_string(i / 2)).c_str(), kStart + seconds(round));
    }
  }
  ASSERT_TRUE(denials_.flush(Denials::Time::max()));
  std::uint64_t told = 0;
  for (const auto& record : log_.records()) told += record.value("count", 1);
  EXPECT_EQ(told, denied);
}

TEST_F(DenialsTest, StandsWithTheFlowThatItIsOn) {
  const auto deny_on = [this](std::uint64_t flow) {
    return denials_.record(Event::deny, {{"host", "a.com"}, {"flow", flow}}, kStart).value_or("");
  };
  EXPECT_EQ(deny_on(7), "d-1");
  EXPECT_EQ(deny_on(8), "d-1") << "and is the same on any other";
  ASSERT_TRUE(denials_.flush(Denials::Time::max()));
  const auto records = log_.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0]["flow"], 7);
  EXPECT_FALSE(records[1].contains("flow")) << "they were on many";
}

TEST_F(DenialsTest, SharesTheIdOfASubjectWhileItIsCounted) {
  const auto deny_about = [this](Event event, const char* rule, Denials::Time now, const std::string& subject) {
    return denials_.record(event, {{"host", "a.com"}, {"rule", rule}}, now, subject).value_or("");
  };
  EXPECT_EQ(deny_about(Event::dns_deny, "r", kStart, "a.com r"), "d-1");
  EXPECT_EQ(deny_about(Event::deny, "r", kStart + seconds(6), "a.com r"), "d-1");
  EXPECT_EQ(deny_about(Event::deny, "other", kStart + seconds(6), "a.com other"), "d-2");
  EXPECT_EQ(deny_about(Event::deny, "none", kStart + seconds(6), ""), "d-3");
  EXPECT_EQ(deny_about(Event::deny, "none of its own", kStart + seconds(6), ""), "d-4");
  // The question is counted no longer, the request still is.
  EXPECT_EQ(deny_about(Event::udp_deny, "r", kStart + seconds(12), "a.com r"), "d-1");
  EXPECT_EQ(deny_about(Event::deny, "r", kStart + seconds(40), "a.com r"), "d-5");
  const auto records = log_.records();
  ASSERT_EQ(records.size(), 7U) << "each is written down";
  EXPECT_EQ(records[1]["decision"], "d-1");
}

}  // namespace
}  // namespace microagent::audit

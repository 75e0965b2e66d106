#include "dns/forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dns/test_messages.h"

namespace microagent::dns {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const Time kStart{};
const policy::Address kAddress = *policy::parse_address("203.0.113.1");

class ForwarderTest : public testing::Test {
 protected:
  static Query query_of(const TestMessage& message) { return *parse_query(message.encode()).query; }

  // A lookup that one resolver answered with this, or with nothing.
  static Lookup asked(const Query& query, std::optional<TestAnswer> answer, Transport over = Transport::udp) {
    Lookup lookup(query, over, {{*policy::parse_address("192.0.2.1")}}, [] { return std::uint16_t{77}; });
    while (lookup.next()) {
      if (!answer) continue;
      answer->id = 77;
      lookup.on_answer(answer->encode());
    }
    return lookup;
  }

  Forwarder forwarder_;
};

TEST_F(ForwarderTest, AsksOnceAndBindsTheNames) {
  const Query query = query_of({.id = 5, .name = "www.Example.com"});
  EXPECT_FALSE(forwarder_.from_cache(query, Transport::udp, kStart));
  const TestAnswer answer{.answers = {test_a("www.example.com", 1, 300)}};
  const Bytes reply = forwarder_.conclude(asked(query, answer), kStart);
  EXPECT_EQ(reply, (TestAnswer{.id = 5, .name = "www.Example.com", .answers = answer.answers}.encode()));
  EXPECT_THAT(forwarder_.names().names_of(kAddress, kStart), ElementsAre("www.example.com"));

  const auto again = forwarder_.from_cache(query_of({.id = 6}), Transport::udp, kStart + seconds(100));
  EXPECT_EQ(again, (TestAnswer{.id = 6, .answers = {test_a("www.example.com", 1, 200)}}.encode()));
  EXPECT_FALSE(forwarder_.from_cache(query, Transport::udp, kStart + seconds(300)));
}

TEST_F(ForwarderTest, BindsForAsLongAsTheAnswerHoldsWhoeverGaveIt) {
  const TestAnswer answer{.answers = {test_a("www.example.com", 1, 300)}};
  forwarder_.conclude(asked(query_of({}), answer), kStart);
  EXPECT_TRUE(forwarder_.from_cache(query_of({}), Transport::udp, kStart + seconds(299)));
  EXPECT_THAT(forwarder_.names().names_of(kAddress, kStart + seconds(299)), ElementsAre("www.example.com"));
  EXPECT_THAT(forwarder_.names().names_of(kAddress, kStart + seconds(299) + NameTable::kMinBinding), IsEmpty());
}

TEST_F(ForwarderTest, KeepsWhatIsNotThere) {
  const TestAnswer none{.flags = 0x8183, .authorities = {test_soa(900, 300)}};
  forwarder_.conclude(asked(query_of({}), none), kStart);
  const auto again = forwarder_.from_cache(query_of({}), Transport::udp, kStart + seconds(10));
  EXPECT_EQ(again, (TestAnswer{.flags = 0x8183, .authorities = {test_soa(890, 300)}}.encode()));
}

TEST_F(ForwarderTest, KeepsNoFailure) {
  const Bytes refused = forwarder_.conclude(asked(query_of({}), TestAnswer{.flags = 0x8185}), kStart);
  EXPECT_EQ(refused[3] & 15, 5);
  const Bytes silent = forwarder_.conclude(asked(query_of({}), std::nullopt), kStart);
  EXPECT_EQ(silent[3] & 15, 2);
  EXPECT_EQ(forwarder_.cache().entries(), 0U);
}

TEST_F(ForwarderTest, SaysWhyNobodyAnswered) {
  const Bytes reply = forwarder_.conclude(asked(query_of({.edns_size = 1232}), std::nullopt), kStart);
  const std::string text(reply.begin(), reply.end());
  EXPECT_NE(text.find(std::string("\0\x16no resolver gave an answer", 28)), std::string::npos);
}

TEST_F(ForwarderTest, CutsForDatagramsOnly) {
  TestAnswer large;
  for (std::uint8_t i = 0; i < 100; ++i) large.answers.push_back(test_a("www.example.com", i));
  EXPECT_EQ(forwarder_.conclude(asked(query_of({}), large), kStart)[2] & 2, 2);
  EXPECT_EQ((*forwarder_.from_cache(query_of({}), Transport::udp, kStart))[2] & 2, 2);
  EXPECT_GT(forwarder_.from_cache(query_of({}), Transport::tcp, kStart)->size(), 1600U);
}

TEST_F(ForwarderTest, KeepsAndTellsNoKeysForEncryptedClientHello) {
  Bytes data{0, 1, 0};
  for (const unsigned word : {4U, 4U, 0xcb00U, 0x7101U, 5U, 4U, 0xfe0dU, 0xabcdU}) put16(data, word);
  const TestMessage question{.type = kTypeHttps};
  const TestAnswer answer{.type = kTypeHttps, .answers = {{"www.example.com", kTypeHttps, 60, data}}};
  const auto has_key = [](const Bytes& message) {
    return std::string(message.begin(), message.end()).find("\xfe\x0d\xab\xcd") != std::string::npos;
  };
  ASSERT_TRUE(has_key(answer.encode()));
  EXPECT_FALSE(has_key(forwarder_.conclude(asked(query_of(question), answer), kStart)));
  const auto cached = forwarder_.from_cache(query_of(question), Transport::udp, kStart);
  ASSERT_TRUE(cached);
  EXPECT_FALSE(has_key(*cached));
  EXPECT_THAT(forwarder_.names().names_of(kAddress, kStart), ElementsAre("www.example.com"));
}

TEST_F(ForwarderTest, RefusesWithTheDecisionAndItsRule) {
  policy::PolicyText text;
  text.lock_allowlist = true;
  text.deny = {policy::rule_text(".example.com", "--egress-deny")};
  const auto policy = policy::Policy::compile(text);
  const Query query = query_of({.edns_size = 1232});
  const Bytes blocked = refuse(query, policy::decide_lookup(*policy, "www.example.com"), "d-42");
  EXPECT_EQ(blocked[3] & 15, 5);
  const std::string why(blocked.begin(), blocked.end());
  EXPECT_NE(why.find(std::string("\0\x0f", 2) + "deny .example.com (--egress-deny) [d-42]"), std::string::npos);
  const Bytes prohibited = refuse(query, policy::decide_lookup(*policy, "a.org"), "d-43");
  EXPECT_NE(std::string(prohibited.begin(), prohibited.end())
                .find(std::string("\0\x12", 2) + "lockAllowlist: not listed [d-43]"),
            std::string::npos);
}

}  // namespace
}  // namespace microagent::dns

#include "dns/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dns/test_messages.h"

namespace microagent::dns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Question question_of(const TestAnswer& answer) {
  return {test_name(answer.name), static_cast<std::uint16_t>(answer.type)};
}

Digest digest_of(const TestAnswer& answer) {
  const auto digest = examine(answer.encode(), question_of(answer));
  EXPECT_TRUE(digest);
  return digest.value_or(Digest{});
}

std::vector<std::string> addresses(const Bindings& bindings) {
  std::vector<std::string> texts;
  for (const policy::Address& address : bindings.addresses) texts.push_back(policy::to_string(address));
  return texts;
}

TEST(Records, BindTheQuestionToItsAddresses) {
  const Bindings bindings =
      digest_of({.answers = {test_a("WWW.example.com", 1, 300), test_a("www.example.com", 2, 200)}}).bindings;
  EXPECT_THAT(bindings.names, ElementsAre("www.example.com"));
  EXPECT_THAT(addresses(bindings), ElementsAre("203.0.113.1", "203.0.113.2"));
  EXPECT_EQ(bindings.ttl, 200U);
  const Bindings ipv6 = digest_of({.type = 28, .answers = {{"www.example.com", 28, 60, Bytes(16, 0x20)}}}).bindings;
  EXPECT_THAT(addresses(ipv6), ElementsAre("2020:2020:2020:2020:2020:2020:2020:2020"));
}

TEST(Records, BindEveryNameOfAChain) {
  const Bindings bindings =
      digest_of({.answers = {test_a("edge.cdn.net", 1, 300), test_cname("www.example.com", "b.net", 50),
                             test_cname("B.net", "edge.cdn.net")}})
          .bindings;
  EXPECT_THAT(bindings.names, ElementsAre("www.example.com", "b.net", "edge.cdn.net"));
  EXPECT_THAT(addresses(bindings), ElementsAre("203.0.113.1"));
  EXPECT_EQ(bindings.ttl, 50U);
}

// What stands in an answer without an answer leading to it is somebody's wish, not a binding.
TEST(Records, BindNothingOffTheChain) {
  const TestAnswer stray{.answers = {test_a("www.example.com", 1), test_a("bank.example", 2),
                                     test_cname("other.example", "www.example.com")},
                         .authorities = {test_a("www.example.com", 3)},
                         .additionals = {test_a("www.example.com", 4)}};
  EXPECT_THAT(digest_of(stray).bindings.names, ElementsAre("www.example.com"));
  EXPECT_THAT(addresses(digest_of(stray).bindings), ElementsAre("203.0.113.1"));
  EXPECT_THAT(digest_of({.answers = {test_cname("www.example.com", "a.net")}}).bindings.names, IsEmpty());
}

TEST(Records, SurviveChainsWithoutEnd) {
  EXPECT_THAT(digest_of({.answers = {test_cname("www.example.com", "a.net"), test_cname("a.net", "www.example.com")}})
                  .bindings.names,
              IsEmpty());
  TestAnswer longest;
  std::vector<std::string> names{"www.example.com"};
  for (int i = 0; i < 40; ++i) names.push_back("n" + std::to_string(i) + ".net");
  for (std::size_t i = 0; i + 1 < names.size(); ++i) longest.answers.push_back(test_cname(names[i], names[i + 1]));
  longest.answers.push_back(test_a(names.back(), 1));
  EXPECT_THAT(digest_of(longest).bindings.names, IsEmpty());
}

TEST(Records, LeaveNamesOutThatNoHostHas) {
  const std::string_view odd("\x01.\x02");
  const TestAnswer answer{.answers = {test_cname("www.example.com", odd), test_a(odd, 1)}};
  EXPECT_THAT(digest_of(answer).bindings.names, ElementsAre("www.example.com"));
}

TEST(Records, SayHowLongTheyHold) {
  EXPECT_EQ(digest_of({.answers = {test_a("www.example.com", 1, 300), test_a("www.example.com", 2, 200)}}).keep, 200U);
  EXPECT_EQ(digest_of({.answers = {test_a("www.example.com", 1, 0)}}).keep, 0U);
  EXPECT_EQ(digest_of({.answers = {test_a("www.example.com", 1, 0x7fffffff)}}).keep, kMaxKeep);
}

TEST(Records, SayHowLongWhatIsNotThereStaysSo) {
  const std::vector<TestRecord> soa{test_soa(900, 300)};
  EXPECT_EQ(digest_of({.flags = 0x8183, .authorities = soa}).keep, 300U);  // no such name
  EXPECT_EQ(digest_of({.authorities = soa}).keep, 300U);                   // no such record
  EXPECT_EQ(digest_of({.authorities = {test_soa(100, 300)}}).keep, 100U);
  EXPECT_EQ(digest_of({.authorities = {test_soa(1'000'000, 1'000'000)}}).keep, kMaxKeepNegative);
  EXPECT_EQ(digest_of({.answers = {test_cname("www.example.com", "a.net", 20)}, .authorities = soa}).keep, 20U);
  EXPECT_EQ(digest_of({}).keep, std::nullopt);
  EXPECT_EQ(digest_of({.answers = {test_cname("www.example.com", "a.net", 20)}}).keep, std::nullopt);
  EXPECT_EQ(digest_of({.flags = 0x8182, .authorities = soa}).keep, std::nullopt);                         // SERVFAIL
  EXPECT_EQ(digest_of({.flags = 0x8380, .answers = {test_a("www.example.com", 1)}}).keep, std::nullopt);  // TC
}

Bytes https_data(bool ech) {
  Bytes data{0, 1, 0};
  for (const unsigned word : {1U, 3U}) put16(data, word);
  data.insert(data.end(), {2, 'h', '2'});
  for (const unsigned word : {4U, 4U, 0xcb00U, 0x7109U}) put16(data, word);
  if (!ech) return data;
  for (const unsigned word : {5U, 4U, 0xfe0dU, 0x0000U}) put16(data, word);
  return data;
}

TEST(Records, LoseTheKeysForEncryptedClientHello) {
  TestAnswer answer{.type = kTypeHttps, .edns = true};
  answer.answers = {test_cname("www.example.com", "a.net"), {"a.net", kTypeHttps, 60, https_data(true)}};
  answer.additionals = {{"b.net", kTypeSvcb, 60, https_data(true)}, test_a("a.net", 7)};
  const Digest digest = digest_of(answer);
  ASSERT_TRUE(digest.rewritten);
  EXPECT_TRUE(parse_answer(*digest.rewritten, 0x1234, question_of(answer)));
  EXPECT_THAT(addresses(digest.bindings), ElementsAre("203.0.113.9"));
  EXPECT_THAT(digest.bindings.names, ElementsAre("www.example.com", "a.net"));

  // The same records without the keys, in whatever compression: what it says is what it says without them.
  const std::string stripped(digest.rewritten->begin(), digest.rewritten->end());
  const Bytes kept = https_data(false);
  std::size_t copies = 0;
  for (auto at = stripped.find(std::string(kept.begin(), kept.end())); at != std::string::npos;
       at = stripped.find(std::string(kept.begin(), kept.end()), at + 1)) {
    ++copies;
  }
  EXPECT_EQ(copies, 2U);
  EXPECT_EQ(stripped.find("\xfe\x0d"), std::string::npos);
  const auto again = examine(*digest.rewritten, question_of(answer));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->rewritten);
  EXPECT_EQ(ttl_places(*digest.rewritten).size(), 4U);  // and OPT is still there, as the additional count says
  EXPECT_EQ((*digest.rewritten)[11], 3);
}

TEST(Records, StayAsTheyAreWithoutSuchKeys) {
  TestAnswer answer{.type = kTypeHttps};
  answer.answers = {{"www.example.com", kTypeHttps, 60, https_data(false)}};
  EXPECT_FALSE(digest_of(answer).rewritten);
  EXPECT_FALSE(digest_of({.answers = {test_a("www.example.com", 1)}}).rewritten);
}

TEST(Records, AreWhatTheirTypeSaysOrNothing) {
  TestAnswer short_address{.answers = {{"www.example.com", 1, 60, {203, 0, 113}}}};
  EXPECT_FALSE(examine(short_address.encode(), question_of(short_address)));
  TestAnswer bad_service{.type = kTypeHttps, .answers = {{"www.example.com", kTypeHttps, 60, {0, 1, 0, 0, 5, 0, 9}}}};
  EXPECT_FALSE(examine(bad_service.encode(), question_of(bad_service)));
  const Bytes whole = TestAnswer{.answers = {test_a("www.example.com", 1)}}.encode();
  for (std::size_t length = 12; length < whole.size(); ++length) {
    EXPECT_FALSE(examine(ByteView(whole).first(length), question_of(TestAnswer{}))) << length;
  }
}

// A compression pointer may point to itself, forwards, or behind the end.
TEST(Records, SurviveHostilePointers) {
  const Bytes whole = TestMessage{.flags = 0x8180, .answers = 1}.encode();
  const Question question = question_of(TestAnswer{});
  const std::size_t pointer = 12 + 17 + 4;
  for (const unsigned target : {static_cast<unsigned>(pointer), 0x3fffU, static_cast<unsigned>(whole.size() - 1)}) {
    Bytes message = whole;
    message[pointer] = static_cast<std::uint8_t>(0xc0 | target >> 8);
    message[pointer + 1] = static_cast<std::uint8_t>(target);
    const auto digest = examine(message, question);
    if (digest) EXPECT_THAT(digest->bindings.names, IsEmpty());
  }
}

}  // namespace
}  // namespace microagent::dns

#include "dns/lookup.h"

#include <gtest/gtest.h>

#include "dns/test_messages.h"

namespace microagent::dns {
namespace {

class LookupTest : public testing::Test {
 protected:
  Lookup make(std::size_t resolvers, Transport over = Transport::udp) {
    std::vector<Resolver> all;
    for (std::size_t i = 1; i <= resolvers; ++i) {
      all.push_back({policy::Address::ipv4({192, 0, 2, static_cast<std::uint8_t>(i)})});
    }
    return Lookup(*parse_query(TestMessage{.id = 7}.encode()).query, over, all, [this] { return next_id_++; });
  }

  // The answer to an attempt, flags as given.
  static Bytes answer_to(const Lookup::Attempt& attempt, unsigned flags = 0x8180, unsigned answers = 1) {
    const unsigned id = static_cast<unsigned>(attempt.message[0] << 8 | attempt.message[1]);
    return TestMessage{.id = id, .flags = flags, .answers = answers}.encode();
  }

  std::uint16_t next_id_ = 1000;
};

TEST_F(LookupTest, AsksUnderAnIdOfItsOwnAndAnswersUnderTheGuests) {
  Lookup lookup = make(1);
  const auto attempt = lookup.next();
  ASSERT_TRUE(attempt);
  EXPECT_EQ(attempt->message, (TestMessage{.id = 1000}.encode()));
  EXPECT_EQ(attempt->transport, Transport::udp);
  EXPECT_EQ(lookup.on_answer(answer_to(*attempt)), Lookup::Outcome::settled);
  EXPECT_FALSE(lookup.next());
  EXPECT_EQ(lookup.reply(), (TestMessage{.id = 7, .flags = 0x8180, .answers = 1}.encode()));
}

TEST_F(LookupTest, IgnoresForgeries) {
  Lookup lookup = make(1);
  const auto attempt = lookup.next();
  EXPECT_EQ(lookup.on_answer(TestMessage{.id = 7, .flags = 0x8180}.encode()), Lookup::Outcome::ignored);
  EXPECT_EQ(lookup.on_answer(TestMessage{.id = 1000, .flags = 0x8180, .name = "evil"}.encode()),
            Lookup::Outcome::ignored);
  EXPECT_EQ(lookup.on_answer({}), Lookup::Outcome::ignored);
  EXPECT_EQ(lookup.on_answer(answer_to(*attempt)), Lookup::Outcome::settled);
}

TEST_F(LookupTest, TriesEveryResolverTwiceWithinTheCeilingAndThenFails) {
  Lookup lookup = make(3);
  std::chrono::milliseconds total{0};
  std::vector<std::uint8_t> asked;
  while (const auto attempt = lookup.next()) {
    asked.push_back(attempt->resolver.address.bytes[3]);
    total += attempt->timeout;
  }
  EXPECT_EQ(asked, (std::vector<std::uint8_t>{1, 2, 3, 1, 2, 3}));
  EXPECT_LE(total, kLookupCeiling);
  EXPECT_EQ(next_id_, 1006);  // each under an id of its own
  EXPECT_EQ(lookup.reply(), (TestMessage{.id = 7, .flags = 0x8182}.encode()));
}

TEST_F(LookupTest, FailsAtOnceWithoutResolvers) {
  Lookup lookup = make(0);
  EXPECT_FALSE(lookup.next());
  EXPECT_EQ(lookup.reply()[3] & 15, 2);
  EXPECT_EQ(lookup.digest(), nullptr);
}

TEST_F(LookupTest, TellsNothingThatNobodyCanRead) {
  Lookup lookup = make(2);
  const auto first = lookup.next();
  TestAnswer broken{.id = 1000};
  broken.answers = {{"www.example.com", 1, 60, {203, 0, 113}}};  // three bytes are no address
  EXPECT_EQ(lookup.on_answer(broken.encode()), Lookup::Outcome::failed);
  const auto second = lookup.next();
  EXPECT_EQ(second->resolver.address.bytes[3], 2);
  EXPECT_EQ(lookup.on_answer(answer_to(*second)), Lookup::Outcome::settled);
  ASSERT_NE(lookup.digest(), nullptr);
  EXPECT_EQ(lookup.digest()->bindings.names, std::vector<std::string>{"www.example.com"});
}

TEST_F(LookupTest, LetsAnotherResolverBetterAFailure) {
  Lookup lookup = make(2);
  EXPECT_EQ(lookup.on_answer(answer_to(*lookup.next(), 0x8182, 0)), Lookup::Outcome::failed);
  const auto second = lookup.next();
  EXPECT_EQ(second->resolver.address.bytes[3], 2);
  EXPECT_EQ(lookup.on_answer(answer_to(*second, 0x8183, 0)), Lookup::Outcome::settled);
  EXPECT_EQ(lookup.reply()[3] & 15, 3);
}

TEST_F(LookupTest, DeliversARefusalWhenNobodyKnowsBetter) {
  Lookup lookup = make(1);
  EXPECT_EQ(lookup.on_answer(answer_to(*lookup.next(), 0x8185, 0)), Lookup::Outcome::failed);
  EXPECT_FALSE(lookup.next());
  EXPECT_EQ(lookup.reply()[3] & 15, 5);
}

TEST_F(LookupTest, GoesToTcpWhenTheAnswerWasTruncated) {
  Lookup lookup = make(2);
  EXPECT_EQ(lookup.on_answer(answer_to(*lookup.next(), 0x8380, 0)), Lookup::Outcome::failed);
  const auto over_tcp = lookup.next();
  EXPECT_EQ(over_tcp->transport, Transport::tcp);
  EXPECT_EQ(over_tcp->resolver.address.bytes[3], 1);
  EXPECT_EQ(lookup.on_answer(answer_to(*over_tcp, 0x8180, 100)), Lookup::Outcome::settled);
  EXPECT_EQ(lookup.reply(),
            (TestMessage{.id = 7, .flags = 0x8380}.encode()));  // still too long for the guest's datagram
}

TEST_F(LookupTest, FallsBackToTheTruncatedAnswerWhenTcpFails) {
  Lookup lookup = make(1);
  EXPECT_EQ(lookup.on_answer(answer_to(*lookup.next(), 0x8380, 0)), Lookup::Outcome::failed);
  EXPECT_EQ(lookup.next()->transport, Transport::tcp);
  EXPECT_EQ(lookup.next()->transport, Transport::udp);
  EXPECT_FALSE(lookup.next());
  EXPECT_EQ(lookup.reply()[2] & 2, 2);
}

TEST_F(LookupTest, StaysOnTcpWhenTheGuestAskedByTcp) {
  Lookup lookup = make(1, Transport::tcp);
  const auto attempt = lookup.next();
  EXPECT_EQ(attempt->transport, Transport::tcp);
  EXPECT_EQ(lookup.on_answer(answer_to(*attempt, 0x8180, 100)), Lookup::Outcome::settled);
  EXPECT_GT(lookup.reply().size(), 1600U);
}

}  // namespace
}  // namespace microagent::dns

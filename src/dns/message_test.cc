#include "dns/message.h"

#include <gtest/gtest.h>

#include <random>

#include "dns/names.h"
#include "dns/records.h"
#include "dns/test_messages.h"

namespace microagent::dns {
namespace {

QueryFault fault_of(const Bytes& message) {
  const ParsedQuery parsed = parse_query(message);
  EXPECT_FALSE(parsed.query);
  return parsed.fault;
}

Query query_of(const TestMessage& message) { return *parse_query(message.encode()).query; }

TEST(Query, IsTakenWithItsQuestionAndItsEdnsSize) {
  const Query plain = query_of({.type = 28});
  EXPECT_EQ(plain.id, 0x1234);
  EXPECT_EQ(name_text(plain.question.name), "www.example.com");
  EXPECT_EQ(plain.question.type, 28);
  EXPECT_EQ(plain.udp_limit, 512U);
  EXPECT_EQ(query_of({.edns_size = 900}).udp_limit, 900U);
  EXPECT_EQ(query_of({.edns_size = 100}).udp_limit, 512U);
  EXPECT_EQ(query_of({.edns_size = 65535}).udp_limit, kMaxDatagram);
}

TEST(Query, IsTakenWithItsBits) {
  const Query bare = query_of({});
  EXPECT_TRUE(bare.recursion_desired);
  EXPECT_FALSE(bare.edns || bare.dnssec_ok || bare.authentic_data || bare.checking_disabled);
  const Query rich = query_of({.flags = 0x0130, .edns_size = 1232});
  EXPECT_TRUE(rich.edns && rich.authentic_data && rich.checking_disabled);
  Bytes dnssec = TestMessage{.edns_size = 1232}.encode();
  dnssec[dnssec.size() - 4] = 0x80;
  EXPECT_TRUE(parse_query(dnssec).query->dnssec_ok);
  EXPECT_FALSE(query_of({.flags = 0}).recursion_desired);
}

TEST(Query, HasOneOptRecordOfAVersionThatWeSpeak) {
  Bytes two = TestMessage{.edns_size = 1232}.encode();
  const Bytes opt(two.end() - 11, two.end());
  two.insert(two.end(), opt.begin(), opt.end());
  two[11] = 2;
  EXPECT_EQ(fault_of(two), QueryFault::malformed);
  Bytes version = TestMessage{.id = 0xbeef, .edns_size = 1232}.encode();
  version[version.size() - 5] = 1;
  EXPECT_EQ(fault_of(version), QueryFault::bad_version);
  EXPECT_EQ(encode_fault(version, QueryFault::bad_version),
            (Bytes{0xbe, 0xef, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 0xd0, 1, 0, 0, 0, 0, 0}));
}

TEST(Query, IsForwardedWithoutWhatElseTheGuestPutIntoIt) {
  Bytes with_option = TestMessage{.name = "wWw.Example.com", .edns_size = 4096}.encode();
  with_option.back() = 8;  // the length of OPT's data: one option, a cookie that could carry anything
  for (const unsigned word : {10U, 4U, 0xdeadU, 0xbeefU}) put16(with_option, word);
  const Query query = *parse_query(with_option).query;
  EXPECT_EQ(encode_query(query, 7), (TestMessage{.id = 7, .name = "wWw.Example.com", .edns_size = 1232}.encode()));
  EXPECT_EQ(encode_query(query_of({.flags = 0x0110}), 7), (TestMessage{.id = 7, .flags = 0x0110}.encode()));
}

TEST(Query, IsMadeForANameOfOurs) {
  const Query query = make_query("www.example.com", kTypeAaaa);
  EXPECT_EQ(query.bytes, (TestMessage{.id = 0, .type = 28, .edns_size = 1232}.encode()));
  EXPECT_TRUE(parse_query(query.bytes).query);
}

TEST(Query, IsRefusedAtEveryTruncation) {
  const Bytes whole = TestMessage{.edns_size = 1232}.encode();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(fault_of(cut), length < 12 ? QueryFault::unanswerable : QueryFault::malformed) << length;
  }
}

TEST(Query, IsOneQuestionAndNothingElse) {
  Bytes two_questions = TestMessage{}.encode();
  two_questions[5] = 2;
  EXPECT_EQ(fault_of(two_questions), QueryFault::malformed);
  Bytes no_question = TestMessage{}.encode();
  no_question[5] = 0;
  EXPECT_EQ(fault_of(no_question), QueryFault::malformed);
  Bytes more_behind = TestMessage{}.encode();
  more_behind.push_back(0);
  EXPECT_EQ(fault_of(more_behind), QueryFault::malformed);
  EXPECT_EQ(fault_of(TestMessage{.answers = 1}.encode()), QueryFault::malformed);
}

TEST(Query, HasAnUncompressedNameOfLegalLength) {
  Bytes pointer = TestMessage{.name = ""}.encode();
  pointer.insert(pointer.begin() + 12, {0xc0, 0x0c});
  EXPECT_EQ(fault_of(pointer), QueryFault::malformed);
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  EXPECT_TRUE(parse_query(TestMessage{.name = longest}.encode()).query);
  EXPECT_EQ(fault_of(TestMessage{.name = longest + "a"}.encode()), QueryFault::malformed);
  EXPECT_EQ(fault_of(TestMessage{.name = std::string(64, 'a')}.encode()), QueryFault::malformed);
}

TEST(Query, IsOfOpcodeQueryAndClassIn) {
  EXPECT_EQ(fault_of(TestMessage{.flags = 0x2000}.encode()), QueryFault::not_implemented);  // NOTIFY
  EXPECT_EQ(fault_of(TestMessage{.flags = 0x2800}.encode()), QueryFault::not_implemented);  // UPDATE
  EXPECT_EQ(fault_of(TestMessage{.flags = 0x8180}.encode()), QueryFault::unanswerable);     // an answer
  EXPECT_EQ(fault_of(TestMessage{.klass = 3}.encode()), QueryFault::refused);               // CHAOS
  EXPECT_EQ(fault_of(TestMessage{.type = 252}.encode()), QueryFault::refused);              // AXFR
  EXPECT_EQ(fault_of(TestMessage{.type = 251}.encode()), QueryFault::refused);              // IXFR
}

TEST(Fault, IsSaidWithTheGuestsId) {
  const Bytes notify = TestMessage{.id = 0xbeef, .flags = 0x2100}.encode();
  EXPECT_EQ(encode_fault(notify, QueryFault::not_implemented), (Bytes{0xbe, 0xef, 0xa1, 0x84, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ((*encode_fault(notify, QueryFault::malformed))[3] & 15, 1);
  EXPECT_EQ((*encode_fault(notify, QueryFault::refused))[3] & 15, 5);
  EXPECT_FALSE(encode_fault(notify, QueryFault::unanswerable));
}

TEST(Answer, MustMatchIdAndQuestion) {
  const Question question = query_of({}).question;
  const TestMessage good{.flags = 0x8180, .answers = 2, .edns_size = 1232};
  ASSERT_TRUE(parse_answer(good.encode(), 0x1234, question));
  EXPECT_EQ(parse_answer(good.encode(), 0x1234, question)->rcode, Rcode::no_error);
  EXPECT_TRUE(parse_answer(TestMessage{.flags = 0x8180, .name = "WWW.example.COM"}.encode(), 0x1234, question));
  EXPECT_TRUE(parse_answer(TestMessage{.flags = 0x8380}.encode(), 0x1234, question)->truncated);

  EXPECT_FALSE(parse_answer(good.encode(), 0x1235, question));
  EXPECT_FALSE(parse_answer(TestMessage{.flags = 0x0100}.encode(), 0x1234, question));
  EXPECT_FALSE(parse_answer(TestMessage{.flags = 0x8180, .name = "www.example.org"}.encode(), 0x1234, question));
  EXPECT_FALSE(parse_answer(TestMessage{.flags = 0x8180, .type = 28}.encode(), 0x1234, question));
  const Bytes whole = good.encode();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(parse_answer(ByteView(whole).first(length), 0x1234, question)) << length;
  }
}

TEST(Answer, IsCutToItsQuestionWhenItIsTooLongForADatagram) {
  const Query query = query_of({.id = 7});
  const Bytes small = TestMessage{.id = 99, .flags = 0x8180, .answers = 10}.encode();
  Bytes expected = small;
  set_id(expected, 7);
  EXPECT_EQ(deliver(query, small, true), expected);

  const Bytes large = TestMessage{.id = 99, .flags = 0x8180, .answers = 100}.encode();
  const Bytes cut = deliver(query, large, true);
  EXPECT_EQ(cut, (TestMessage{.id = 7, .flags = 0x8380}.encode()));
  EXPECT_EQ(deliver(query, large, false).size(), large.size());
  EXPECT_EQ(deliver(query_of({.id = 7, .edns_size = 512}), large, true),
            (TestMessage{.id = 7, .flags = 0x8380, .edns_size = 1232}.encode()));
}

TEST(Answer, IsSpeltAsTheGuestSpeltIt) {
  const Query query = query_of({.id = 7, .name = "wWw.eXample.cOm"});
  EXPECT_EQ(deliver(query, TestMessage{.id = 9, .flags = 0x8180, .answers = 1}.encode(), true),
            (TestMessage{.id = 7, .flags = 0x8180, .name = "wWw.eXample.cOm", .answers = 1}.encode()));
}

TEST(Answer, TellsWhyToWhoSpeaksEdns) {
  const ExtendedError why{ErrorCode::blocked, "deny a.com [d-1]"};
  EXPECT_EQ(encode_answer(query_of({}), Rcode::refused, why), (TestMessage{.flags = 0x8185}.encode()));
  Bytes expected = TestMessage{.flags = 0x8185, .edns_size = 1232}.encode();
  expected.back() = 6 + 16;
  for (const unsigned word : {15U, 18U, 15U}) put16(expected, word);
  expected.insert(expected.end(), why.text.begin(), why.text.end());
  const Bytes told = encode_answer(query_of({.edns_size = 1232}), Rcode::refused, why);
  EXPECT_EQ(told, expected);
  EXPECT_TRUE(parse_answer(told, 0x1234, query_of({}).question));
  const ExtendedError verbose{ErrorCode::blocked, std::string(100'000, 'x')};
  EXPECT_LE(encode_answer(query_of({.edns_size = 1232}), Rcode::refused, verbose).size(), 512U);
}

TEST(Answer, OfOurOwnHasAddresses) {
  const Bytes answer = encode_addresses(query_of({.edns_size = 1232}), std::vector<Bytes>{{203, 0, 113, 0}}, 60);
  EXPECT_EQ(answer, (TestMessage{.flags = 0x8180, .answers = 1, .edns_size = 1232}.encode()));
  EXPECT_EQ(encode_addresses(query_of({}), {}, 60), (TestMessage{.flags = 0x8180}.encode()));
}

TEST(Answer, TellsWhereItsTimesToLiveStand) {
  const Bytes answer = TestMessage{.flags = 0x8180, .answers = 2, .edns_size = 1232}.encode();
  const std::size_t question = 12 + 17 + 4;
  EXPECT_EQ(ttl_places(answer), (std::vector<std::size_t>{question + 6, question + 22}));
}

// Whatever is taken can be answered: no mutation trips a check.
TEST(Messages, SurviveMutation) {
  std::mt19937 generator(1);
  const auto random = [&] { return static_cast<unsigned>(generator()); };
  for (int round = 0; round < 50'000; ++round) {
    const TestMessage original{
        .flags = 0x0100U | (random() % 2) << 15, .answers = random() % 3, .edns_size = 1232U * (random() % 2)};
    Bytes message = original.encode();
    for (unsigned changes = random() % 4; changes > 0; --changes) {
      message[random() % message.size()] = static_cast<std::uint8_t>(random());
    }
    const ParsedQuery parsed = parse_query(message);
    if (!parsed.query) {
      encode_fault(message, parsed.fault);
    } else {
      EXPECT_TRUE(parse_answer(encode_answer(*parsed.query, Rcode::refused), parsed.query->id, parsed.query->question));
      EXPECT_FALSE(name_text(parsed.query->question.name).empty());
    }
    const Query query = query_of({.id = static_cast<unsigned>(message[0] << 8 | message[1])});
    if (parse_answer(message, query.id, query.question)) {
      EXPECT_EQ(deliver(query, message, true).size(), message.size());
      examine(message, query.question);
    }
  }
}

TEST(Answer, OfOurOwnRepeatsTheQuestion) {
  EXPECT_EQ(encode_answer(query_of({}), Rcode::server_failure), (TestMessage{.flags = 0x8182}.encode()));
  EXPECT_EQ(encode_answer(query_of({.edns_size = 1232}), Rcode::server_failure),
            (TestMessage{.flags = 0x8182, .edns_size = 1232}.encode()));
}

}  // namespace
}  // namespace microagent::dns

#include "audit/record.h"

#include <gtest/gtest.h>

#include "audit/chain.h"

namespace microagent::audit {
namespace {

TEST(Record, PutsTheHeadFirstAndTheChainLast) {
  const std::string line = encode_record({7, "2026-06-27T09:01:02Z", Event::allow, "web", 3, kChainStart},
                                         {{"host", "192.0.2.1"}, {"dst", "192.0.2.1:80"}});
  EXPECT_EQ(line, R"({"seq":7,"ts":"2026-06-27T09:01:02Z","event":"egress_allow","workspace":"web","flow":3,)"
                  R"("host":"192.0.2.1","dst":"192.0.2.1:80","prev":")" +
                      std::string(kChainStart) + "\"}");
}

TEST(Record, RoundTrips) {
  const auto record =
      parse_record(encode_record({1, "t", Event::udp_close, "web", 9, "abc"}, {{"host", "h"}, {"dst", "d"}}));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->seq, 1U);
  EXPECT_EQ(record->event, Event::udp_close);
  EXPECT_EQ(record->flow, 9U);
  EXPECT_EQ(record->prev, "abc");
  EXPECT_EQ(record->text("host"), "h");
  EXPECT_EQ(record->text("dst"), "d");
  EXPECT_EQ(record->text("error"), "");
  EXPECT_EQ(record->text("seq"), "");
}

TEST(Record, StaysOneLineOfAsciiWhateverTheGuestSaid) {
  const std::string line =
      encode_record({1, "t", Event::dns_error, "w", 0, "p"}, {{"qname", "a\n\"\\\x01\xff\xc3\xa9z"}, {"error", "e"}});
  for (const char c : line) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << static_cast<int>(c);
  EXPECT_TRUE(parse_record(line));
}

// The text is put together by hand; the library says what it has to be.
TEST(Record, IsWhatTheLibraryWouldHaveWritten) {
  const Fields fields{
      {"empty", ""},          {"quote", "a\"b"},      {"back", "a\\b"},   {"line", "a\nb"},
      {"delete", "\x7f"},     {"accent", "\xc3\xa9"}, {"broken", "\xff"}, {"number", 18446744073709551615U},
      {"negative", -1},       {"yes", true},          {"none", nullptr},  {"list", {"a", 1}},
      {"object", {{"k", 1}}}, {"key \"x\"", "odd"},   {"flow", 5}};
  Fields all{{"seq", 1}, {"ts", "t\""}, {"event", "egress_allow"}, {"workspace", "w"}};
  all.update(fields);
  all["prev"] = "p";
  EXPECT_EQ(encode_record({1, "t\"", Event::allow, "w", 0, "p"}, fields),
            all.dump(-1, ' ', true, Fields::error_handler_t::replace));
}

TEST(RecordDeathTest, HasNoKeyTwice) {
  EXPECT_DEATH(encode_record({1, "t", Event::allow, "w", 3, "p"}, {{"flow", 5}}), "");
  EXPECT_DEATH(encode_record({1, "t", Event::allow, "w", 0, "p"}, {{"prev", 5}}), "");
}

TEST(Record, RefusesWhatIsNotARecord) {
  const std::string line = encode_record({1, "t", Event::allow, "w", 1, "p"}, {{"host", "h"}, {"dst", "d"}});
  for (std::size_t length = 0; length < line.size(); ++length) {
    EXPECT_FALSE(parse_record(line.substr(0, length))) << length;
  }
  for (const char* text :
       {"[]", "1", "null", R"({"seq":-1,"event":"egress_allow","prev":"p"})", R"({"seq":1,"event":"other","prev":"p"})",
        R"({"seq":1,"event":"egress_allow"})", R"({"seq":1,"event":5,"prev":"p"})"}) {
    EXPECT_FALSE(parse_record(text)) << text;
  }
}

TEST(Record, KnowsEveryEventByName) {
  for (std::size_t i = 0; i < kEvents; ++i) {
    const auto event = static_cast<Event>(i);
    EXPECT_EQ(event_from_string(to_string(event)), event);
  }
}

}  // namespace
}  // namespace microagent::audit

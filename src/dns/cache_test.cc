#include "dns/cache.h"

#include <gtest/gtest.h>

#include "dns/test_messages.h"

namespace microagent::dns {
namespace {

using std::chrono::seconds;

const Time kStart{};

Query query_of(const TestMessage& message) { return *parse_query(message.encode()).query; }

Digest kept_for(std::optional<std::uint32_t> seconds) {
  Digest digest;
  digest.keep = seconds;
  digest.bindings.names = {"www.example.com"};
  return digest;
}

const Bytes kAnswer =
    TestAnswer{.answers = {test_a("www.example.com", 1, 300), test_a("www.example.com", 2, 5)}}.encode();

TEST(Cache, AnswersTheSameQuestion) {
  Cache cache;
  cache.store(query_of({}), kAnswer, kept_for(300), kStart);
  const auto hit = cache.find(query_of({.id = 9, .name = "WWW.example.com"}), kStart);
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->answer, kAnswer);
  EXPECT_EQ(hit->bindings->names, std::vector<std::string>{"www.example.com"});
  EXPECT_EQ(hit->age, seconds(0));
}

TEST(Cache, KeepsQuestionsApartThatHaveOtherAnswers) {
  Cache cache;
  cache.store(query_of({}), kAnswer, kept_for(300), kStart);
  for (const TestMessage& other :
       {TestMessage{.name = "ww.example.com"}, TestMessage{.type = 28}, TestMessage{.edns_size = 1232},
        TestMessage{.flags = 0x0110}, TestMessage{.flags = 0x0120}, TestMessage{.flags = 0x0000}}) {
    EXPECT_FALSE(cache.find(query_of(other), kStart));
  }
}

TEST(Cache, CountsTheTimesToLiveDown) {
  Cache cache;
  cache.store(query_of({}), kAnswer, kept_for(300), kStart);
  const auto hit = cache.find(query_of({}), kStart + std::chrono::milliseconds(10'999));
  EXPECT_EQ(hit->answer,
            (TestAnswer{.answers = {test_a("www.example.com", 1, 290), test_a("www.example.com", 2, 0)}}.encode()));
  EXPECT_EQ(hit->age, seconds(10));
}

TEST(Cache, ForgetsWhatNoLongerHolds) {
  Cache cache;
  cache.store(query_of({}), kAnswer, kept_for(5), kStart);
  EXPECT_TRUE(cache.find(query_of({}), kStart + std::chrono::milliseconds(4999)));
  EXPECT_FALSE(cache.find(query_of({}), kStart + seconds(5)));
  EXPECT_EQ(cache.entries(), 0U);
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(Cache, KeepsOnlyWhatMayBeKept) {
  Cache cache;
  cache.store(query_of({}), kAnswer, kept_for(0), kStart);
  cache.store(query_of({}), kAnswer, kept_for(std::nullopt), kStart);
  cache.store(query_of({.flags = 0}), kAnswer, kept_for(300), kStart);
  EXPECT_EQ(cache.entries(), 0U);
}

TEST(Cache, ReplacesAnAnswer) {
  Cache cache;
  cache.store(query_of({}), kAnswer, kept_for(300), kStart);
  const std::size_t bytes = cache.bytes();
  cache.store(query_of({}), kAnswer, kept_for(300), kStart + seconds(200));
  EXPECT_EQ(cache.entries(), 1U);
  EXPECT_EQ(cache.bytes(), bytes);
  EXPECT_TRUE(cache.find(query_of({}), kStart + seconds(400)));
}

TEST(Cache, LosesWhatWasAskedForLongestAgo) {
  Cache cache({.entries = 3, .bytes = 1 << 20});
  for (const char* name : {"a", "b", "c"}) cache.store(query_of({.name = name}), kAnswer, kept_for(300), kStart);
  EXPECT_TRUE(cache.find(query_of({.name = "a"}), kStart));
  cache.store(query_of({.name = "d"}), kAnswer, kept_for(300), kStart);
  EXPECT_EQ(cache.entries(), 3U);
  EXPECT_FALSE(cache.find(query_of({.name = "b"}), kStart));
  EXPECT_TRUE(cache.find(query_of({.name = "a"}), kStart));
}

TEST(Cache, IsBoundedInBytes) {
  Cache cache({.entries = 1000, .bytes = 10'000});
  for (int i = 0; i < 1000; ++i) {
    cache.store(query_of({.name = std::to_string(i)}), kAnswer, kept_for(300), kStart);
    EXPECT_LE(cache.bytes(), 10'000U);
  }
  EXPECT_GT(cache.entries(), 10U);
  const std::size_t before = cache.entries();
  cache.store(query_of({.name = "huge"}), TestMessage{.flags = 0x8180, .answers = 250}.encode(), kept_for(300), kStart);
  EXPECT_EQ(cache.entries(), before);  // it would have driven the others out
}

}  // namespace
}  // namespace microagent::dns

#include "workspace/forward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::workspace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> read(std::string_view mapping) {
  const auto forwards = parse_publish(mapping);
  if (!forwards) return {"error: " + forwards.error().message};
  std::vector<std::string> texts;
  for (const Forward& forward : *forwards) texts.push_back(describe(forward));
  return texts;
}

TEST(Publish, ReadsEveryForm) {
  EXPECT_THAT(read("8080:80"), ElementsAre("127.0.0.1:8080:80/tcp"));
  EXPECT_THAT(read("8080:80/tcp"), ElementsAre("127.0.0.1:8080:80/tcp"));
  EXPECT_THAT(read("5353:53/udp"), ElementsAre("127.0.0.1:5353:53/udp"));
  EXPECT_THAT(read(":8080:80"), ElementsAre("127.0.0.1:8080:80/tcp"));
  EXPECT_THAT(read("0.0.0.0:8080:80"), ElementsAre("0.0.0.0:8080:80/tcp"));
  EXPECT_THAT(read("[::1]:8080:80/tcp"), ElementsAre("[::1]:8080:80/tcp"));
  EXPECT_THAT(read("[0:0::0]:8080:80"), ElementsAre("[::]:8080:80/tcp"));
  EXPECT_THAT(read("[::ffff:127.0.0.1]:8080:80"), ElementsAre("127.0.0.1:8080:80/tcp"));
  EXPECT_THAT(read("0:80"), ElementsAre("127.0.0.1:0:80/tcp"));
  EXPECT_THAT(read("1:65535"), ElementsAre("127.0.0.1:1:65535/tcp"));
}

TEST(Publish, ExpandsRanges) {
  EXPECT_THAT(read("8000-8002:9000-9002"),
              ElementsAre("127.0.0.1:8000:9000/tcp", "127.0.0.1:8001:9001/tcp", "127.0.0.1:8002:9002/tcp"));
  EXPECT_THAT(read("[::1]:65535-65535:1-1/udp"), ElementsAre("[::1]:65535:1/udp"));
  EXPECT_EQ(parse_publish("1-1024:1-1024")->size(), kMaxForwards);
}

struct Refusal {
  const char* mapping;
  const char* why;
};

class Refused : public testing::TestWithParam<Refusal> {};

TEST_P(Refused, SaysWhy) {
  const auto forwards = parse_publish(GetParam().mapping);
  ASSERT_FALSE(forwards) << GetParam().mapping;
  EXPECT_EQ(forwards.error().kind, ErrorKind::usage);
  EXPECT_THAT(forwards.error().message, HasSubstr(GetParam().why));
  EXPECT_FALSE(forwards.error().remediation.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Publish, Refused,
    testing::Values(Refusal{"", "not a port mapping"}, Refusal{"80", "not a port mapping"},
                    Refusal{"a:b", "host port \"a\""}, Refusal{"80:b", "guest port \"b\""},
                    Refusal{"80:", "guest port \"\""}, Refusal{"80:0", "0 is not a port"},
                    Refusal{"80:65536", "guest port \"65536\""}, Refusal{"65536:80", "host port \"65536\""},
                    Refusal{"-1:80", "host port \"-1\""}, Refusal{"80:+80", "guest port \"+80\""},
                    Refusal{"080:80", "host port \"080\""}, Refusal{"80:80/sctp", "\"sctp\" is neither"},
                    Refusal{"80:80/TCP", "\"TCP\" is neither"}, Refusal{"80:80/", "protocol is missing"},
                    Refusal{"80:80/tcp/x", "\"tcp/x\" is neither"}, Refusal{"1:2:3:4", "not a port mapping"},
                    Refusal{"::1:80:80", "not a port mapping"}, Refusal{"[::1:80:80", "not a port mapping"},
                    Refusal{"[127.0.0.1]:80:80", "not a port mapping"}, Refusal{"[]:80:80", "not a port mapping"},
                    Refusal{"localhost:80:80", "\"localhost\" is not an IP"},
                    Refusal{"127.1:80:80", "\"127.1\" is not"}, Refusal{"[fe80::1%lo]:80:80", "is not an IP"},
                    Refusal{"80-82:80-81", "3 host ports"}, Refusal{"0:80-81", "1 host ports"},
                    Refusal{"82-80:80-82", "runs backwards"}, Refusal{"0-2:80-82", "alone it takes a free one"},
                    Refusal{"1-1025:1-1025", "more than a workspace"}, Refusal{"80-:80", "host port \"80-\""},
                    Refusal{"80 :80", "host port \"80 \""}));

Forward forward(const char* mapping) { return parse_publish(mapping)->front(); }

TEST(Collide, FollowsWhatTheKernelWouldRefuse) {
  EXPECT_TRUE(collide(forward("80:1"), forward("127.0.0.1:80:2")));
  EXPECT_TRUE(collide(forward("80:1"), forward("0.0.0.0:80:2")));
  EXPECT_TRUE(collide(forward("[::]:80:1"), forward("127.0.0.1:80:2")));
  EXPECT_TRUE(collide(forward("[::]:80:1"), forward("[::1]:80:2")));
  EXPECT_TRUE(collide(forward("[::1]:80:1"), forward("[0::1]:80:2")));
  EXPECT_FALSE(collide(forward("80:1"), forward("127.0.0.2:80:2")));
  EXPECT_FALSE(collide(forward("80:1"), forward("[::1]:80:2")));
  EXPECT_FALSE(collide(forward("0.0.0.0:80:1"), forward("[::1]:80:2")));
  EXPECT_FALSE(collide(forward("80:1/tcp"), forward("80:1/udp")));
  EXPECT_FALSE(collide(forward("80:1"), forward("81:1")));
  EXPECT_FALSE(collide(forward("0:1"), forward("0:1")));
}

}  // namespace
}  // namespace microagent::workspace

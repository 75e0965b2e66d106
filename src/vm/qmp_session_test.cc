#include "vm/qmp_session.h"

#include <gtest/gtest.h>

namespace microagent::vm {
namespace {

using Kind = QmpEvent::Kind;

constexpr std::string_view kGreeting = R"({"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}})"
                                       "\r\n";

void shake_hands(QmpSession& session) {
  ASSERT_TRUE(session.feed(kGreeting));
  EXPECT_EQ(session.take_output(), "{\"execute\":\"qmp_capabilities\"}\n");
  const auto events = session.feed("{\"return\": {}}\r\n");
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 1U);
  EXPECT_EQ(events->front().kind, Kind::ready);
}

TEST(QmpSession, ShakesHandsAndExecutes) {
  QmpSession session;
  shake_hands(session);
  session.execute("query-status");
  EXPECT_EQ(session.take_output(), "{\"execute\":\"query-status\"}\n");
  EXPECT_EQ(session.take_output(), "");
  const auto events = session.feed("{\"return\": {\"status\": \"running\"}}\n{\"error\": {\"desc\": \"no\"}}\n");
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2U);
  EXPECT_TRUE((*events)[0].succeeded);
  EXPECT_FALSE((*events)[1].succeeded);
  EXPECT_EQ((*events)[1].reason, "no");
}

TEST(QmpSession, TellsHowTheMachineEnded) {
  QmpSession session;
  shake_hands(session);
  const auto events = session.feed(
      "{\"event\": \"RESUME\", \"timestamp\": {}}\n"
      "{\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"pause\"}}\n"
      "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n");
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2U);
  EXPECT_EQ((*events)[0].kind, Kind::guest_panicked);
  EXPECT_EQ((*events)[1].kind, Kind::shutdown);
  EXPECT_TRUE((*events)[1].by_guest);
  EXPECT_EQ((*events)[1].reason, "guest-reset");
}

TEST(QmpSession, TellsThatTheHostCannotWrite) {
  QmpSession session;
  shake_hands(session);
  const auto events = session.feed(
      "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"device\": \"\", \"nospace\": true, \"node-name\": \"root\", "
      "\"reason\": \"No space left on device\", \"operation\": \"write\", \"action\": \"report\"}}\n"
      "{\"event\": \"BLOCK_IO_ERROR\"}\n");
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2U);
  EXPECT_EQ((*events)[0].kind, Kind::disk_error);
  EXPECT_EQ((*events)[0].reason, "No space left on device");
  EXPECT_EQ((*events)[1].reason, "");
}

TEST(QmpSession, TakesBytesInAnyPieces) {
  const std::string stream = std::string(kGreeting) + "{\"return\": {}}\n{\"event\": \"SHUTDOWN\"}\n";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    QmpSession session;
    const auto first = session.feed(std::string_view(stream).substr(0, cut));
    const auto second = session.feed(std::string_view(stream).substr(cut));
    ASSERT_TRUE(first && second) << cut;
    EXPECT_EQ(first->size() + second->size(), 2U) << cut;
  }
}

TEST(QmpSession, RefusesWhatIsNoQmpAndStaysBroken) {
  for (const char* bad : {"nonsense\n", "[1]\n", "{\"QMP\"\n", "\x01\xff\n"}) {
    QmpSession session;
    EXPECT_FALSE(session.feed(bad)) << bad;
    EXPECT_FALSE(session.feed(kGreeting)) << bad;
  }
}

TEST(QmpSession, BoundsALine) {
  QmpSession session;
  EXPECT_FALSE(session.feed(std::string(300 * 1024, 'x')));
}

TEST(QmpSession, StandsOddTypes) {
  QmpSession session;
  shake_hands(session);
  EXPECT_TRUE(session.feed("{\"event\": 7}\n{\"error\": 1}\n{}\n"));
  EXPECT_TRUE(session.feed("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": 1}}\n"));
  EXPECT_TRUE(session.feed("{\"event\": \"SHUTDOWN\", \"data\": []}\n"));
}

}  // namespace
}  // namespace microagent::vm

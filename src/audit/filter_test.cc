#include "audit/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::audit {
namespace {

using testing::HasSubstr;

ParsedRecord record(Event event, const Fields& fields, std::string_view ts = "2026-06-27T09:01:02.000000000Z") {
  return *parse_record(encode_record({1, ts, event, "web", 0, "p"}, fields));
}

TEST(Filter, TakesEverythingWithoutWishes) { EXPECT_TRUE(matches({}, record(Event::allow, {{"host", "a.com"}}))); }

TEST(Filter, TakesEvents) {
  const Filter filter{.events = {Event::deny, Event::dns_deny}};
  EXPECT_TRUE(matches(filter, record(Event::deny, {{"host", "a.com"}})));
  EXPECT_FALSE(matches(filter, record(Event::allow, {{"host", "a.com"}})));
  EXPECT_EQ(*parse_event("egress_deny"), Event::deny);
  EXPECT_EQ(*parse_event("deny"), Event::deny);
  EXPECT_EQ(*parse_event("audit_rotated"), Event::rotated);
  EXPECT_THAT(parse_event("denied").error().remediation, HasSubstr("udp_internal_deny"));
}

TEST(Filter, TakesWhatWasDenied) {
  const Filter filter{.denied = true};
  for (const Event event : {Event::deny, Event::internal_deny, Event::udp_deny, Event::udp_internal_deny,
                            Event::dns_deny, Event::cap_exceeded}) {
    EXPECT_TRUE(matches(filter, record(event, {{"host", "a.com"}}))) << to_string(event);
  }
  for (const Event event : {Event::allow, Event::close, Event::dial_error, Event::dns_allow, Event::request}) {
    EXPECT_FALSE(matches(filter, record(event, {{"host", "a.com"}}))) << to_string(event);
  }
  EXPECT_TRUE(matches(filter, record(Event::mitm_upstream_error, {{"host", "a.com"}, {"fault", "expired"}})));
  EXPECT_FALSE(matches(filter, record(Event::mitm_upstream_error, {{"host", "a.com"}, {"error", "no answer"}})));
}

TEST(Filter, TakesHostsByNameAddressAndSuffix) {
  const ParsedRecord flow = record(Event::allow, {{"host", "Api.a.com"}, {"dst", "192.0.2.1:80"}});
  const ParsedRecord ipv6 = record(Event::allow, {{"host", "2001:db8::1"}, {"dst", "[2001:db8::1]:80"}});
  const ParsedRecord echo = record(Event::allow, {{"host", "x"}, {"dst", "2001:db8::2"}});
  const ParsedRecord query = record(Event::dns_allow, {{"qname", "api.a.com"}, {"qtype", "A"}});
  for (const char* host : {"api.a.com", ".a.com", ".com", ".api.a.com", "192.0.2.1"}) {
    EXPECT_TRUE(matches({.host = host}, flow)) << host;
  }
  for (const char* host : {"a.com", "pi.a.com", ".pi.a.com", "192.0.2.2", "192.0.2.1:80"}) {
    EXPECT_FALSE(matches({.host = host}, flow)) << host;
  }
  EXPECT_TRUE(matches({.host = "2001:db8::1"}, ipv6));
  EXPECT_TRUE(matches({.host = "2001:db8::2"}, echo));
  EXPECT_TRUE(matches({.host = ".a.com"}, query));
  EXPECT_TRUE(matches({.host = "b.com"}, record(Event::request, {{"host", "192.0.2.1"}, {"name", "b.com"}})));
  EXPECT_FALSE(matches({.host = "a.com"}, record(Event::listen, {{"mode", "broker"}})));
}

TEST(Filter, TakesWhatCameSince) {
  const Filter filter{.since = *parse_since("2026-06-27T09:01:02.5Z", {})};
  const Fields fields{{"host", "a"}};
  EXPECT_FALSE(matches(filter, record(Event::deny, fields, "2026-06-27T09:01:02.499999999Z")));
  EXPECT_TRUE(matches(filter, record(Event::deny, fields, "2026-06-27T09:01:02.500000000Z")));
}

TEST(Since, IsAnInstantADateOrATimeAgo) {
  const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'782'550'862));
  EXPECT_EQ(*parse_since("2026-06-27", now), "2026-06-27T00:00:00.000000000Z");
  EXPECT_EQ(*parse_since("2026-06-27T09:01:02Z", now), "2026-06-27T09:01:02.000000000Z");
  EXPECT_EQ(*parse_since("2026-06-27T09:01:02.123456789Z", now), "2026-06-27T09:01:02.123456789Z");
  EXPECT_EQ(*parse_since("0s", now), "2026-06-27T09:01:02.000000000Z");
  EXPECT_EQ(*parse_since("62s", now), "2026-06-27T09:00:00.000000000Z");
  EXPECT_EQ(*parse_since("1m", now), "2026-06-27T09:00:02.000000000Z");
  EXPECT_EQ(*parse_since("2h", now), "2026-06-27T07:01:02.000000000Z");
  EXPECT_EQ(*parse_since("7d", now), "2026-06-20T09:01:02.000000000Z");
  for (const char* text :
       {"", "yesterday", "5", "m", "-5m", "1.5h", "2026-6-27", "2026-06-27T09:01:02", "2026-06-27T09:01:02+02:00",
        "2026-06-27 09:01:02Z", "2026-06-27T09:01:02,5Z", "2026-06-27T09:01:02.1234567890Z", "5mm"}) {
    EXPECT_FALSE(parse_since(text, now)) << text;
  }
}

}  // namespace
}  // namespace microagent::audit

#include "mediator/records.h"

#include <gtest/gtest.h>

#include "mediator/endpoint.h"

namespace microagent::mediator {
namespace {

flow::Open open_of(flow::Protocol protocol) {
  flow::Open open;
  open.protocol = protocol;
  open.guest = endpoint_of(*policy::parse_address("192.168.64.2"), 40000);
  open.destination = endpoint_of(*policy::parse_address("192.0.2.1"), 80);
  return open;
}

std::string text(const Record& record) {
  return std::string(audit::to_string(record.event)) + " " + record.fields.dump();
}

constexpr const char* kWhere = R"("dst":"192.0.2.1:80","src":"192.168.64.2:40000")";

TEST(Records, TellAFlowsStory) {
  policy::Decision decision;
  decision.reason = policy::Reason::listed;
  decision.host = "api.example";
  decision.text = "allow api.example (--egress-allow)";
  const flow::Open open = open_of(flow::Protocol::tcp);
  const std::string where = std::string(R"({"host":"api.example",)") + kWhere + R"(,"proto":"tcp",)";
  EXPECT_EQ(text(allow_record(open, decision)),
            "egress_allow " + where + R"x("rule":"allow api.example (--egress-allow)"})x");
  decision.reason = policy::Reason::unlisted_public;
  decision.signal = policy::Signal::direct_ip_no_sni;
  decision.host = "";
  const std::string nameless = std::string(R"({"host":"192.0.2.1",)") + kWhere + R"(,"proto":"tcp",)";
  EXPECT_EQ(text(allow_record(open, decision)),
            "egress_allow " + nameless +
                R"x("unlisted":true,"rule":"allow api.example (--egress-allow)","signal":"direct-ip-no-sni"})x");
  EXPECT_EQ(text(dial_error_record(open, "api.example", "Connection refused")),
            "egress_dial_error " + where + R"("error":"Connection refused"})");
  EXPECT_EQ(text(close_record(open, "api.example", {1, 2, 3999, flow::End::capped})),
            "egress_close " + where + R"("bytesOut":1,"bytesIn":2,"durationMs":3,"end":"capped"})");
}

TEST(Records, SayWhatObservationLetThrough) {
  policy::Decision decision;
  decision.reason = policy::Reason::not_listed;
  decision.would_deny = true;
  EXPECT_EQ(allow_record(open_of(flow::Protocol::tcp), decision).fields["wouldDeny"], "not-listed");
}

TEST(Records, SayWhyAFlowWasDenied) {
  Denial denial{"d7", "", "inside", "inside: loopback 127.0.0.0/8", "denied", true};
  EXPECT_EQ(text(deny_record(open_of(flow::Protocol::tcp), denial)),
            std::string(R"(egress_internal_deny {"host":"192.0.2.1",)") + kWhere +
                R"(,"proto":"tcp","reason":"inside","internal":true,"rule":"inside: loopback 127.0.0.0/8",)" +
                R"("signal":"denied"})");
  denial.internal = false;
  EXPECT_EQ(deny_record(open_of(flow::Protocol::tcp), denial).event, audit::Event::deny);
}

TEST(Records, HaveNamesOfTheirOwnForUdp) {
  Denial denial;
  const flow::Open open = open_of(flow::Protocol::udp);
  EXPECT_EQ(allow_record(open, {}).event, audit::Event::udp_allow);
  EXPECT_EQ(deny_record(open, denial).event, audit::Event::udp_deny);
  EXPECT_EQ(dial_error_record(open, "", "").event, audit::Event::udp_dial_error);
  EXPECT_EQ(close_record(open, "", {}).event, audit::Event::udp_close);
  denial.internal = true;
  EXPECT_EQ(deny_record(open, denial).event, audit::Event::udp_internal_deny);
}

}  // namespace
}  // namespace microagent::mediator

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

constexpr const char* kWhere = R"("host":"192.0.2.1","dst":"192.0.2.1:80","src":"192.168.64.2:40000")";

TEST(Records, TellAFlowsStory) {
  Judgement judgement;
  judgement.rule = "--egress-allow 192.0.2.1";
  const flow::Open open = open_of(flow::Protocol::tcp);
  const std::string where = std::string("{") + kWhere + R"(,"proto":"tcp",)";
  EXPECT_EQ(text(allow_record(open, judgement)), "egress_allow " + where + R"("rule":"--egress-allow 192.0.2.1"})");
  judgement.unlisted = true;
  EXPECT_EQ(text(allow_record(open, judgement)),
            "egress_allow " + where + R"("unlisted":true,"rule":"--egress-allow 192.0.2.1"})");
  EXPECT_EQ(text(dial_error_record(open, "Connection refused")),
            "egress_dial_error " + where + R"("error":"Connection refused"})");
  EXPECT_EQ(text(close_record(open, {1, 2, 3999, flow::End::guest_reset})),
            "egress_close " + where + R"("bytesOut":1,"bytesIn":2,"durationMs":3,"end":"guest_reset"})");
}

TEST(Records, SayWhyAFlowWasDenied) {
  Judgement judgement;
  judgement.internal = true;
  judgement.reason = "inside";
  judgement.rule = "inside: loopback 127.0.0.0/8";
  EXPECT_EQ(text(deny_record(open_of(flow::Protocol::tcp), judgement)),
            std::string("egress_internal_deny {") + kWhere +
                R"(,"proto":"tcp","reason":"inside","internal":true,"rule":"inside: loopback 127.0.0.0/8"})");
  judgement.internal = false;
  EXPECT_EQ(deny_record(open_of(flow::Protocol::tcp), judgement).event, audit::Event::deny);
}

TEST(Records, HaveNamesOfTheirOwnForUdp) {
  Judgement judgement;
  const flow::Open open = open_of(flow::Protocol::udp);
  EXPECT_EQ(allow_record(open, judgement).event, audit::Event::udp_allow);
  EXPECT_EQ(deny_record(open, judgement).event, audit::Event::udp_deny);
  EXPECT_EQ(dial_error_record(open, "").event, audit::Event::udp_dial_error);
  EXPECT_EQ(close_record(open, {}).event, audit::Event::udp_close);
  judgement.internal = true;
  EXPECT_EQ(deny_record(open, judgement).event, audit::Event::udp_internal_deny);
}

}  // namespace
}  // namespace microagent::mediator

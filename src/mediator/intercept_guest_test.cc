// Guests that say little within TLS, or something odd.

#include "mediator/test_intercept.h"

namespace microagent::mediator {
namespace {

class InterceptGuestTest : public InterceptTest {
 protected:
  void hang_up() {
    EXPECT_TRUE(guest_->close_notify());
    guest_.reset();
    guests_.reset();
    close();
    EXPECT_TRUE(loop_.until([&] { return last()["event"] == "egress_close"; }));
  }
  audit::Fields last() { return directory_.records().back(); }
  std::vector<std::string> events() {
    std::vector<std::string> all;
    for (const auto& record : directory_.records()) all.push_back(record["event"]);
    return all;
  }
  void want_requests() {
    policy::RuleText rule = policy::rule_text("", "--egress-policy");
    rule.form = policy::RuleText::Form::host;
    rule.destination = kName;
    rule.methods = {"GET"};
    config_.egress.mode = policy::Mode::broker;
    config_.egress.allow.push_back(rule);
  }
  void answer(const std::string& request) {
    write(*guest_, request);
    expect(*upstream_, request);
    write(*upstream_, "HTTP/1.1 204 No Content\r\n\r\n");
    expect(*guest_, "HTTP/1.1 204 No Content\r\n\r\n");
  }

  const std::vector<std::string> kNoHandshake{"egress_dns_allow", "egress_allow", "egress_mitm_handshake_error",
                                              "egress_close"};
};

// curl --pinnedpubkey, OkHttp: they finish the handshake, look at the certificate, and are gone.
TEST_F(InterceptGuestTest, WhoHangsUpAtTheSightOfTheCertificateIsRecorded) {
  connect({"http/1.1"});
  hang_up();
  EXPECT_EQ(events(), kNoHandshake);
  EXPECT_NE(directory_.records()[2]["error"].get<std::string>().find("--egress-passthrough"), std::string::npos);
}

TEST_F(InterceptGuestTest, WhoHangsUpHasSaidNothingThatCouldNotBeRead) {
  want_requests();
  connect({});
  hang_up();
  EXPECT_EQ(events(), kNoHandshake);
}

TEST_F(InterceptGuestTest, WhoHangsUpAfterAWordIsNot) {
  connect({"http/1.1"});
  answer("GET /a HTTP/1.1\r\nHost: good.example\r\n\r\n");
  hang_up();
  EXPECT_EQ(events(), (std::vector<std::string>{"egress_dns_allow", "egress_allow", "egress_request", "egress_close"}));
}

TEST_F(InterceptGuestTest, WhoIsEndedByAnotherIsNot) {
  connect({"http/1.1"});
  close({.end = flow::End::killed});
  EXPECT_TRUE(loop_.until([&] { return last()["event"] == "egress_close"; }));
  EXPECT_EQ(events(), (std::vector<std::string>{"egress_dns_allow", "egress_allow", "egress_close"}));
}

TEST_F(InterceptGuestTest, ARequestOfHttp10NeedsNoHost) {
  connect({"http/1.1"});
  answer("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(loop_.until([&] { return last()["event"] == "egress_request"; }));
  EXPECT_EQ(last()["status"], 204);
}

TEST_F(InterceptGuestTest, ObservedItMayAskForAnotherHost) {
  config_.egress.observe = true;
  connect({"http/1.1"});
  answer("GET /a HTTP/1.1\r\nHost: other.example\r\n\r\n");
  EXPECT_TRUE(loop_.until([&] { return last()["event"] == "egress_request"; }));
  EXPECT_EQ(last()["wouldDeny"], "name-destination-mismatch");
  EXPECT_EQ(last()["status"], 204);
}

}  // namespace
}  // namespace microagent::mediator

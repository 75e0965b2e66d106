#include "cli/egress_words.h"

#include <gtest/gtest.h>

namespace microagent::cli {
namespace {

using audit::Event;

std::string words(Event event, const audit::Fields& fields) {
  return words_of(*audit::parse_record(audit::encode_record({1, "t", event, "web", 1, "p"}, fields)));
}

TEST(EgressWords, BeginWithTheRequest) {
  EXPECT_EQ(words(Event::request, {{"method", "GET"},
                                   {"host", "a.com"},
                                   {"path", "/v1/models"},
                                   {"status", 200U},
                                   {"bytesOut", 0U},
                                   {"bytesIn", 5120U},
                                   {"durationMs", 87U},
                                   {"swap", "openai"}}),
            "GET /v1/models 200, swap: openai, bytesOut: 0, bytesIn: 5120");
  EXPECT_EQ(words(Event::request, {{"method", "GET"}, {"path", "/"}, {"status", 0U}, {"error", "gone"}}),
            "GET /, error: gone");
  EXPECT_EQ(
      words(Event::deny, {{"reason", "denied-by-rule"}, {"rule", "deny a.com"}, {"method", "POST"}, {"path", "/x"}}),
      "POST /x, reason: denied-by-rule, rule: deny a.com");
}

TEST(EgressWords, SayWhatIsSpecialAboutAFlow) {
  EXPECT_EQ(words(Event::allow,
                  {{"mitm", true}, {"rule", "mode"}, {"asksCertificate", true}, {"translated", "h2 to http/1.1"}}),
            "rule: mode, translated: h2 to http/1.1, mitm, asksCertificate");
  EXPECT_EQ(words(Event::dns_allow, {{"wouldDeny", true}}), "wouldDeny");
  EXPECT_EQ(words(Event::allow, {{"wouldDeny", "not-listed"}}), "wouldDeny: not-listed");
  EXPECT_EQ(words(Event::mitm_upstream_error, {{"fault", "expired"}, {"error", "it expired"}}),
            "fault: expired, error: it expired");
}

}  // namespace
}  // namespace microagent::cli

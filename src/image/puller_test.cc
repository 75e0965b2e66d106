#include "image/puller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::image {
namespace {

using testing::HasSubstr;

Error judged(std::string_view message) {
  const std::string complaint =
      "skopeo: time=\"2030-01-01T00:00:00Z\" level=fatal msg=\"" + std::string(message) + "\"";
  return pull_error(*parse_reference("registry.example/x:1"), complaint);
}

TEST(PullError, HasAKindAndARemedy) {
  const Error denied = judged("Error: reading manifest: unauthorized: authentication required");
  EXPECT_EQ(denied.kind, ErrorKind::policy_denied);
  EXPECT_THAT(denied.remediation, HasSubstr("skopeo login"));
  EXPECT_EQ(judged("manifest unknown: manifest unknown").kind, ErrorKind::not_found);
  EXPECT_EQ(judged("dial tcp 192.0.2.1:443: connect: connection refused").kind, ErrorKind::transient);
  EXPECT_EQ(judged("write /x: no space left on device").kind, ErrorKind::resource_exhausted);
  EXPECT_THAT(judged("http: server gave HTTP response to HTTPS client").remediation, HasSubstr("insecure = true"));
  EXPECT_EQ(judged("something else").kind, ErrorKind::permanent);
}

TEST(PullError, SaysItInFewerWords) {
  EXPECT_EQ(judged("pinging \\\"x\\\": odd").message, "cannot pull registry.example/x:1: pinging \"x\": odd");
  EXPECT_THAT(pull_error(*parse_reference("x"), "skopeo: plain words").message, HasSubstr("plain words"));
}

}  // namespace
}  // namespace microagent::image

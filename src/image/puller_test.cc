#include "image/puller.h"

#include <fmt/format.h>
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

Error judged_of(std::string_view image, std::string_view message) {
  return pull_error(*parse_reference(image), fmt::format("skopeo: level=fatal msg=\"{}\"", message));
}

// Names are whatever somebody chose: they say nothing about what went wrong.
TEST(PullError, IsNotToldByTheNameOfTheImage) {
  const auto refused = [](std::string_view name) {
    return judged_of(name, fmt::format("initializing source docker://{0}: pinging container registry {1}: Get "
                                       "\\\"https://{1}/v2/\\\": dial tcp 192.0.2.1:443: connect: connection refused",
                                       parse_reference(name)->name, name.substr(0, name.find('/'))));
  };
  for (const char* name : {"denied.example/x:1", "registry.example/unauthorized:1", "certificate.example/certificate:1",
                           "registry.example/x:EOF"}) {
    EXPECT_EQ(refused(name).kind, ErrorKind::transient) << name << ": " << refused(name).message;
    EXPECT_THAT(refused(name).message, HasSubstr(name)) << "it is still told";
  }
  EXPECT_EQ(judged_of("oci:/timeout/denied:certificate", "something else").kind, ErrorKind::permanent);
}

// A name of one letter stands in every word, and one that is a word stands in what a registry says.
TEST(PullError, IsToldByWholeWords) {
  EXPECT_EQ(judged_of("localhost:5000/a", "reading manifest latest in localhost:5000/a: manifest unknown").kind,
            ErrorKind::not_found);
  EXPECT_EQ(judged_of("localhost:5000/denied", "requested access to the resource is denied").kind,
            ErrorKind::policy_denied);
  EXPECT_EQ(
      judged_of("localhost:5000/timeout", "fetching https://localhost:5000/v2/timeout/manifests/latest: odd").kind,
      ErrorKind::permanent);
}

TEST(PullError, OfARegistryThatDeniesIsNotAFiles) {
  for (const char* message : {"reading manifest 1 in registry.example/x: denied: permission denied",
                              "Get \\\"https://registry.example/v2/\\\": denied: permission denied"}) {
    EXPECT_EQ(judged(message).kind, ErrorKind::policy_denied) << message;
  }
}

// An archive has no registry that one could log in to, or that could be reached later.
TEST(PullError, OfAFileIsNotARegistrys) {
  for (const char* image : {"docker-archive:/home/me/image.tar", "oci:/home/me/layout:1"}) {
    const Error denied = judged_of(image, "open /home/me/image.tar: permission denied");
    EXPECT_EQ(denied.kind, ErrorKind::permanent);
    EXPECT_THAT(denied.remediation, HasSubstr("read"));
    const Error cut = judged_of(image, "reading tarball: unexpected EOF");
    EXPECT_EQ(cut.kind, ErrorKind::permanent);
    EXPECT_THAT(cut.remediation, HasSubstr("whole"));
    EXPECT_EQ(judged_of(image, "open /home/me/image.tar: no such file or directory").kind, ErrorKind::not_found);
    EXPECT_EQ(judged_of(image, "write /x: no space left on device").kind, ErrorKind::resource_exhausted);
  }
  EXPECT_EQ(judged("writing blob: mkdir /cache/images/.x.new: permission denied").kind, ErrorKind::permanent);
  EXPECT_EQ(judged("denied: requested access to the resource is denied").kind, ErrorKind::policy_denied);
}

TEST(PullError, SaysItInFewerWords) {
  EXPECT_EQ(judged("pinging \\\"x\\\": odd").message, "cannot pull registry.example/x:1: pinging \"x\": odd");
  EXPECT_THAT(pull_error(*parse_reference("x"), "skopeo: plain words").message, HasSubstr("plain words"));
}

}  // namespace
}  // namespace microagent::image

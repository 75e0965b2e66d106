#include "image/reference.h"

#include <gtest/gtest.h>

namespace microagent::image {
namespace {

constexpr const char* kDigest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string name_of(const std::string& text) {
  const auto reference = parse_reference(text);
  return reference ? reference->name : "";
}

TEST(Reference, IsCompletedAsDockerDoes) {
  EXPECT_EQ(name_of("alpine"), "docker.io/library/alpine:latest");
  EXPECT_EQ(name_of("docker://alpine:3.18"), "docker.io/library/alpine:3.18");
  EXPECT_EQ(name_of("user/tool"), "docker.io/user/tool:latest");
  EXPECT_EQ(name_of("registry.example:5000/a/b_c/d-e:T_1"), "registry.example:5000/a/b_c/d-e:T_1");
  EXPECT_EQ(name_of("localhost/x"), "localhost/x:latest");
  // With a digest the tag says nothing more.
  EXPECT_EQ(name_of(std::string("example.com/x:1") + kDigest), std::string("example.com/x") + kDigest);
}

TEST(Reference, TellsSkopeoWhere) {
  const auto reference = parse_reference("127.0.0.1:5000/x:1");
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->source, "docker://127.0.0.1:5000/x:1");
  EXPECT_EQ(reference->repository, "127.0.0.1:5000/x");
}

TEST(Reference, OnlyARegistryOnThisHostDoesWithoutTls) {
  for (const char* text : {"127.0.0.1:5000/x", "127.9.9.9/x", "localhost:5000/x"}) {
    EXPECT_TRUE(parse_reference(text)->loopback) << text;
  }
  for (const char* text :
       {"x", "127.0.0.1.example.com/x", "localhost.example/x", "192.0.2.1:5000/x", "127.evil.com/x"}) {
    EXPECT_FALSE(parse_reference(text)->loopback) << text;
  }
}

TEST(Reference, NamesDirectoriesAndFiles) {
  const auto layout = parse_reference("oci:/images/x:tag");
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->transport, Transport::oci_layout);
  EXPECT_EQ(layout->source, "oci:/images/x:tag");
  const auto file = parse_reference("docker-archive:/images/x.tar");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->transport, Transport::docker_archive);
}

TEST(Reference, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "UPPER",
                           "a b",
                           "x:",
                           "x:-tag",
                           "x@sha256:12",
                           "x@md5:0",
                           "/x",
                           "x/",
                           "a//b",
                           "-x",
                           "x-",
                           ":tag",
                           "oci:",
                           "oci:relative",
                           "docker-archive:",
                           "docker://",
                           "https://example.com/x",
                           "--help",
                           "x\ny",
                           "exam ple.com/x"}) {
    const auto reference = parse_reference(text);
    ASSERT_FALSE(reference) << text;
    EXPECT_EQ(reference.error().kind, ErrorKind::usage) << text;
    EXPECT_FALSE(reference.error().remediation.empty()) << text;
  }
  EXPECT_FALSE(parse_reference(std::string(2000, 'a')));
}

}  // namespace
}  // namespace microagent::image

#include "policy/secret_ref.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

using testing::HasSubstr;
using testing::Not;
using Scheme = SecretRef::Scheme;

TEST(SecretRef, NamesWhereASecretIs) {
  EXPECT_EQ(parse_secret_ref("env:OPENAI_API_KEY").value(), (SecretRef{Scheme::env, "OPENAI_API_KEY", ""}));
  EXPECT_EQ(parse_secret_ref("file:/run/secrets/a b").value(), (SecretRef{Scheme::file, "/run/secrets/a b", ""}));
  EXPECT_EQ(parse_secret_ref("vault:secret/data/team/api#key").value(),
            (SecretRef{Scheme::vault, "secret/data/team/api", "key"}));
  EXPECT_EQ(parse_secret_ref("helper:/usr/bin/pass show api").value(),
            (SecretRef{Scheme::helper, "/usr/bin/pass show api", ""}));
}

TEST(SecretRef, IsWrittenAsItIsRead) {
  for (const char* text : {"env:A", "file:/a", "vault:kv/data/a#b", "helper:/bin/x y"}) {
    EXPECT_EQ(to_string(parse_secret_ref(text).value()), text);
  }
}

TEST(SecretRef, RefusesEverythingElseAndRepeatsNothing) {
  for (const char* text : {"sk-proj-0123456789abcdef",
                           "",
                           "env:",
                           "env:1A",
                           "env:A B",
                           "env:A=sk-0123",
                           "file:",
                           "file:relative",
                           "file:/a\nb",
                           "vault:secret/api#key",
                           "vault:/data/x#k",
                           "vault:secret/data/x",
                           "vault:secret/data/x#",
                           "vault:secret/data/../x#k",
                           "vault:secret/data/x?y#k",
                           "vault:secret/data/#k",
                           "helper:",
                           "helper:pass show",
                           "dotenv:/a#B",
                           "ENV:A",
                           "https://x"}) {
    const auto ref = parse_secret_ref(text);
    ASSERT_FALSE(ref) << text;
    EXPECT_EQ(ref.error().kind, ErrorKind::usage);
    EXPECT_THAT(ref.error().message + ref.error().remediation, Not(HasSubstr("0123"))) << text;
  }
  EXPECT_FALSE(parse_secret_ref("file:/" + std::string(5000, 'a')));
}

}  // namespace
}  // namespace microagent::policy

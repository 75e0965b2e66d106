#include "image/oci.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::image {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string digits(char c) { return std::string(64, c); }

std::string config_of(const std::string& inner) {
  return R"({"architecture":"amd64","os":"linux","config":{)" + inner + "}}";
}

TEST(ImageConfig, GivesTheDefaults) {
  const auto image = parse_image_config(config_of(
      R"("Entrypoint":["/bin/tool"],"Cmd":["-v",""],"Env":["PATH=/opt","EMPTY=","broken","=x"],"User":"web:www",)"
      R"("WorkingDir":"srv","StopSignal":"SIGQUIT","Labels":{"a":"b"})"));
  ASSERT_TRUE(image);
  EXPECT_THAT(image->entrypoint, ElementsAre("/bin/tool"));
  EXPECT_THAT(image->command, ElementsAre("-v", ""));
  EXPECT_THAT(image->env, ElementsAre("PATH=/opt", "EMPTY="));
  EXPECT_EQ(image->user, "web:www");
  EXPECT_EQ(image->workdir, "/srv");
  EXPECT_EQ(image->stop_signal, 3);
}

TEST(ImageConfig, NeedNotSayMuch) {
  EXPECT_TRUE(parse_image_config(R"({"architecture":"amd64","os":"linux"})"));
  const auto image = parse_image_config(config_of(R"("Entrypoint":null,"Cmd":null,"Env":null,"User":null)"));
  ASSERT_TRUE(image);
  EXPECT_TRUE(image->entrypoint.empty());
}

TEST(ImageConfig, RefusesOtherPlatformsAndNonsense) {
  const auto other = parse_image_config(R"({"architecture":"arm64","os":"linux"})");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(other.error().message, HasSubstr("linux/arm64"));
  for (const char* inner : {R"("Entrypoint":"sh")", R"("Cmd":[1])", R"("Env":{"a":"b"})", R"("User":5)",
                            R"("Cmd":["a\u0000b"])", R"("StopSignal":"SIGNONE")", R"("WorkingDir":["/"])"}) {
    EXPECT_FALSE(parse_image_config(config_of(inner))) << inner;
  }
  EXPECT_FALSE(parse_image_config(config_of(fmt::format(R"("Cmd":["{}"])", std::string(200'000, 'x')))));
  for (const char* text : {"", "[]", "null", "{", "\xff"}) EXPECT_FALSE(parse_image_config(text)) << text;
}

TEST(ImageManifest, NamesConfigurationAndLayers) {
  const auto manifest =
      parse_image_manifest(fmt::format(R"({{"schemaVersion":2,"config":{{"digest":"sha256:{}"}},)"
                                       R"("layers":[{{"digest":"sha256:{}"}},{{"digest":"sha256:{}"}}]}})",
                                       digits('a'), digits('b'), digits('c')));
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->config, digits('a'));
  EXPECT_THAT(manifest->layers, ElementsAre(digits('b'), digits('c')));
}

// A digest becomes the name of a file.
TEST(ImageManifest, RefusesDigestsThatAreNone) {
  for (const std::string& digest : {std::string("sha256:../../../etc/passwd"), "sha256:" + std::string(63, 'a'),
                                    "sha256:" + std::string(64, '/'), "sha512:" + digits('a'), std::string()}) {
    const std::string layers = fmt::format(
        R"({{"schemaVersion":2,"config":{{"digest":"sha256:{}"}},"layers":[{{"digest":"{}"}}]}})", digits('a'), digest);
    EXPECT_FALSE(parse_image_manifest(layers)) << digest;
    const std::string config = fmt::format(R"({{"schemaVersion":2,"config":{{"digest":"{}"}},"layers":[]}})", digest);
    EXPECT_FALSE(parse_image_manifest(config)) << digest;
  }
  EXPECT_EQ(parse_image_manifest(R"({"schemaVersion":1})").error().kind, ErrorKind::unsupported);
}

TEST(ManifestList, ChoosesThisPlatform) {
  const auto list = [](const char* first, const char* second) {
    return fmt::format(R"({{"manifests":[{{"digest":"sha256:{}","platform":{{"architecture":"{}","os":"linux"}}}},)"
                       R"({{"digest":"sha256:{}","platform":{{"architecture":"{}","os":"linux"}}}}]}})",
                       digits('1'), first, digits('2'), second);
  };
  EXPECT_EQ(pick_from_list(list("arm64", "amd64"))->value(), digits('2'));
  EXPECT_FALSE(pick_from_list(R"({"schemaVersion":2,"layers":[]})")->has_value());
  const auto none = pick_from_list(list("arm64", "s390x"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(none.error().message, HasSubstr("linux/s390x"));
}

TEST(Signals, HaveNamesAndNumbers) {
  EXPECT_EQ(parse_signal("SIGTERM"), 15);
  EXPECT_EQ(parse_signal("USR2"), 12);
  EXPECT_EQ(parse_signal("3"), 3);
  EXPECT_EQ(parse_signal("SIGRTMIN+3"), 37);
  EXPECT_EQ(parse_signal("SIGRTMAX-1"), 63);
  EXPECT_EQ(parse_signal("RTMIN"), 34);
  for (const char* text : {"", "0", "65", "-1", "SIG", "SIGRTMIN+31", "SIGRTMIN+-1", "sigterm", "SIGRTMIN+x"}) {
    EXPECT_FALSE(parse_signal(text)) << text;
  }
}

}  // namespace
}  // namespace microagent::image

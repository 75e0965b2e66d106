#include "workspace/mediation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "workspace/declaration.h"
#include "workspace/records.h"
#include "workspace/spec.h"

namespace microagent::workspace {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

std::string target_refusal(std::string_view text) {
  const auto target = parse_mediation_target(text);
  if (target) return "accepted";
  EXPECT_EQ(target.error().kind, ErrorKind::usage);
  EXPECT_FALSE(target.error().remediation.empty());
  return target.error().message;
}

TEST(MediationTarget, IsAnAddressANameOrAPath) {
  EXPECT_EQ(parse_mediation_target("127.0.0.1:9900")->host, "127.0.0.1");
  EXPECT_EQ(parse_mediation_target("127.0.0.1:9900")->port, 9900);
  EXPECT_EQ(parse_mediation_target("[::1]:1")->host, "::1");
  EXPECT_EQ(parse_mediation_target("localhost:65535")->host, "localhost");
  EXPECT_EQ(parse_mediation_target("control_plane.internal.:80")->host, "control_plane.internal.");
  EXPECT_EQ(parse_mediation_target("unix:/run/plane.sock")->path, "/run/plane.sock");
  EXPECT_EQ(parse_mediation_target("unix:/" + std::string(106, 'x'))->path.size(), 107U);
}

TEST(MediationTarget, RefusesWhatCannotBeDialled) {
  EXPECT_THAT(target_refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(target_refusal("9900"), HasSubstr("has no port"));
  EXPECT_THAT(target_refusal("localhost"), HasSubstr("has no port"));
  EXPECT_THAT(target_refusal("[::1]"), HasSubstr("has no port"));
  EXPECT_THAT(target_refusal("[::1"), HasSubstr("has no port"));
  EXPECT_THAT(target_refusal("["), HasSubstr("has no port"));
  EXPECT_THAT(target_refusal(":"), HasSubstr("has no host"));
  EXPECT_THAT(target_refusal(":9900"), HasSubstr("has no host"));
  EXPECT_THAT(target_refusal("[]:9900"), HasSubstr("has no host"));
  EXPECT_THAT(target_refusal("[127.0.0.1]:9900"), HasSubstr("not an IPv6 address"));
  EXPECT_THAT(target_refusal("[::1]x:9900"), HasSubstr("has no port"));
  EXPECT_THAT(target_refusal("::1:9900"), HasSubstr("in brackets"));
  EXPECT_THAT(target_refusal("0.0.0.0:9900"), HasSubstr("unspecified"));
  EXPECT_THAT(target_refusal("[::]:9900"), HasSubstr("unspecified"));
  EXPECT_THAT(target_refusal("127.1:9900"), HasSubstr("neither"));
  EXPECT_THAT(target_refusal("127.0.0.1.:9900"), HasSubstr("neither"));
  EXPECT_THAT(target_refusal("127.0.0.256:9900"), HasSubstr("neither"));
  EXPECT_THAT(target_refusal("http://host:9900"), HasSubstr("in brackets"));
  EXPECT_THAT(target_refusal("ho st:9900"), HasSubstr("neither"));
  EXPECT_THAT(target_refusal(std::string("ho\0st:9900", 10)), HasSubstr("neither"));
  EXPECT_THAT(target_refusal(std::string(254, 'x') + ":9900"), HasSubstr("neither"));
  for (const char* port : {"", "0", "65536", "99999999999", "-1", "+1", "80x", " 80", "http"}) {
    EXPECT_THAT(target_refusal(std::string("host:") + port), HasSubstr("1 to 65535")) << port;
  }
  EXPECT_THAT(target_refusal("unix:"), HasSubstr("not absolute"));
  EXPECT_THAT(target_refusal("unix:run/plane.sock"), HasSubstr("not absolute"));
  EXPECT_THAT(target_refusal("unix:/" + std::string(107, 'x')), HasSubstr("longer than 107"));
  EXPECT_THAT(target_refusal(std::string("unix:/a\0b", 9)), HasSubstr("zero byte"));
}

TEST(MediationMapping, IsAPortAndATarget) {
  const auto mapping = parse_mediation("2048=[::1]:9900");
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->port, 2048U);
  EXPECT_EQ(mapping->target, "[::1]:9900");
  EXPECT_EQ(parse_mediation("4294967294=unix:/a=b")->target, "unix:/a=b");
  for (const char* text : {"", "2048", "2048:127.0.0.1:9900"}) {
    EXPECT_THAT(parse_mediation(text).error().message, HasSubstr("has no \"=\"")) << text;
  }
  for (const char* text : {"=h:1", "x=h:1", "-1=h:1", "4294967295=h:1", "2048 =h:1"}) {
    EXPECT_THAT(parse_mediation(text).error().message, HasSubstr("not a vsock port")) << text;
  }
}

std::string refusal(std::uint32_t port, const char* target, bool required = true, bool fail_closed = true) {
  const auto violation = find_mediation_violation({port, target, required, fail_closed});
  return violation ? violation->key + ": " + violation->message : "accepted";
}

TEST(MediationRules, AreThoseOfTheContract) {
  EXPECT_EQ(refusal(2048, "127.0.0.1:9900"), "accepted");
  EXPECT_EQ(refusal(1, "unix:/a", false, true), "accepted") << "optional and closed is allowed";
  EXPECT_EQ(refusal(1, "unix:/a", false, false), "accepted");
  EXPECT_THAT(refusal(0, "unix:/a"), StartsWith("mediation.port: 0 is not a vsock port"));
  EXPECT_THAT(refusal(0xffffffff, "unix:/a"), StartsWith("mediation.port: "));
  EXPECT_THAT(refusal(2048, ""), StartsWith("mediation.target: "));
  EXPECT_THAT(refusal(2048, "unix:/a", true, false), StartsWith("mediation.failClosed: "));
}

TEST(MediationRules, KeepOurOwnPorts) {
  for (std::uint32_t port = kFirstOwnVsockPort; port <= kLastOwnVsockPort; ++port) {
    EXPECT_THAT(refusal(port, "unix:/a"), HasSubstr("microagent's own services")) << port;
  }
  EXPECT_EQ(refusal(kFirstOwnVsockPort - 1, "unix:/a"), "accepted");
  EXPECT_EQ(refusal(kLastOwnVsockPort + 1, "unix:/a"), "accepted");
}

TEST(MediationJson, ComesBackAsItWas) {
  const Json json = mediation_record({2048, "unix:/a", false, true});
  EXPECT_EQ(json, Json::parse(R"({"enabled":true,"required":false,"port":2048,"target":"unix:/a","failClosed":true})"));
  const auto mediation = mediation_from_json(json, "FILE");
  ASSERT_TRUE(mediation) << mediation.error().message;
  EXPECT_EQ(mediation_record(*mediation), json);
}

TEST(MediationJson, IsStrict) {
  const Json whole = mediation_record({2048, "unix:/a", true, true});
  for (const auto& [key, value] : whole.items()) {
    Json json = whole;
    json.erase(key);
    EXPECT_THAT(mediation_from_json(json, "FILE").error().message, HasSubstr("FILE: \"mediation." + key + "\""));
    json[key] = Json::array();
    EXPECT_FALSE(mediation_from_json(json, "FILE")) << key;
  }
  Json json = whole;
  json["extra"] = 1;
  EXPECT_FALSE(mediation_from_json(json, "FILE"));
  json = whole;
  json["enabled"] = false;
  EXPECT_FALSE(mediation_from_json(json, "FILE"));
  json["enabled"] = true;
  json["port"] = 4294967296ULL;
  EXPECT_FALSE(mediation_from_json(json, "FILE"));
}

// What a spec comes to, with what flags say in addition.
Result<Manifest> plan(const std::string& mediation, DeclaredMediation flags = {}) {
  auto spec = parse_spec("name: a\nnetwork: {mode: isolated}\n" + mediation, "s");
  if (!spec) return fail(spec.error());
  Declaration declaration;
  declaration.mediation = std::move(flags);
  return resolve(unite(std::move(declaration), std::move(*spec)));
}

Json planned(const std::string& mediation, DeclaredMediation flags = {}) {
  const auto manifest = plan(mediation, std::move(flags));
  if (!manifest) return manifest.error().message;
  return create_record(*manifest).value("mediation", Json());
}

DeclaredMediation flag(std::uint32_t port, const char* target) {
  DeclaredMediation flags;
  flags.enabled = Declared<bool>{true, "--mediation"};
  flags.port = Declared<std::uint32_t>{port, "--mediation"};
  flags.target = Declared<std::string>{target, "--mediation"};
  return flags;
}

DeclaredMediation optional_flag(DeclaredMediation flags = {}) {
  flags.required = flags.fail_closed = Declared<bool>{false, "--mediation-optional"};
  return flags;
}

TEST(DeclaredMediation, IsRequiredByDefault) {
  const Json record = mediation_record({2048, "127.0.0.1:9900", true, true});
  EXPECT_EQ(planned("mediation: {enabled: true, port: 2048, target: '127.0.0.1:9900'}"), record);
  EXPECT_EQ(planned("mediation: {port: 2048, target: '127.0.0.1:9900'}"), record);
  EXPECT_EQ(planned("mediation: {port: 2048, target: '127.0.0.1:9900', required: true, failClosed: true}"), record);
  EXPECT_EQ(planned("", flag(2048, "127.0.0.1:9900")), record);
}

TEST(DeclaredMediation, OptionalMeansBoth) {
  const Json record = mediation_record({2048, "unix:/a", false, false});
  EXPECT_EQ(planned("mediation: {port: 2048, target: 'unix:/a', required: false}"), record);
  EXPECT_EQ(planned("", optional_flag(flag(2048, "unix:/a"))), record);
  EXPECT_EQ(planned("mediation: {port: 2048, target: 'unix:/a'}", optional_flag()), record);
  EXPECT_EQ(planned("mediation: {port: 2048, target: 'unix:/a', required: false, failClosed: true}"),
            mediation_record({2048, "unix:/a", false, true}));
}

TEST(DeclaredMediation, FlagsWin) {
  EXPECT_EQ(planned("mediation: {port: 2048, target: 'unix:/a', required: false}", flag(2049, "unix:/b")),
            mediation_record({2049, "unix:/b", false, false}));
}

TEST(DeclaredMediation, NothingAndZeroAreNoChannel) {
  EXPECT_EQ(planned(""), Json());
  EXPECT_EQ(planned("mediation: {enabled: false}"), Json());
  EXPECT_EQ(planned("mediation: {enabled: false, required: false, port: 0, target: '', failClosed: false}"), Json());
  EXPECT_EQ(planned("mediation: {}"), Json());
}

TEST(DeclaredMediation, SaysWhereItIsWrong) {
  EXPECT_THAT(planned("mediation: {enabled: false, port: 2048, target: 'unix:/a'}").dump(),
              HasSubstr("s:3: mediation.enabled: the channel is declared and not enabled"));
  EXPECT_THAT(planned("", optional_flag()).dump(), HasSubstr("--mediation-optional: there is no mediation channel"));
  EXPECT_THAT(planned("mediation: {enabled: true}").dump(), HasSubstr("s:3: mediation.enabled: there is no"));
  EXPECT_THAT(planned("mediation:\n  port: 1020\n  target: unix:/a").dump(), HasSubstr("s:4: mediation.port: vsock"));
  EXPECT_THAT(planned("mediation:\n  port: 2048\n  target: nowhere").dump(), HasSubstr("s:5: mediation.target: "));
  EXPECT_THAT(planned("mediation:\n  target: unix:/a").dump(), HasSubstr("mediation.port: 0 is not"));
  EXPECT_THAT(planned("mediation:\n  port: 2048").dump(), HasSubstr("mediation.target: "));
  EXPECT_THAT(planned("mediation:\n  port: -1\n  target: unix:/a").dump(), HasSubstr("s:4: mediation.port: "));
  EXPECT_THAT(planned("mediation:\n  port: 2048\n  target: unix:/a\n  required: maybe").dump(),
              HasSubstr("s:6: mediation.required: "));
  EXPECT_THAT(planned("mediation:\n  port: 2048\n  target: unix:/a\n  failClosed: false").dump(),
              HasSubstr("s:6: mediation.failClosed: a required channel fails closed"));
  EXPECT_THAT(planned("mediation:\n  prot: 2048").dump(), HasSubstr("unknown key"));
  EXPECT_THAT(planned("", flag(1021, "unix:/a")).dump(), HasSubstr("--mediation: vsock ports 1020 to 1029"));
}

}  // namespace
}  // namespace microagent::workspace

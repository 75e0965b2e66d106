#include "policy/swap.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/swap_providers.h"

namespace microagent::policy {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr const char* kStatic = R"({"type":"static","domains":["api.example.com"],"key_ref":"env:KEY"})";
constexpr const char* kOauth = R"({"type":"oauth2-cc","domains":["api.example.com"],
    "token_url":"https://auth.example/token","client_id_ref":"env:ID","client_secret_ref":"file:/s"})";
constexpr const char* kJwt = R"({"type":"jwt-bearer","domains":["api.example.com"],"signing_key_ref":"file:/k"})";

SwapText text_of(const Json& fields, const char* name = "api") {
  return {name, fmt::format("swaps.yaml:2: swaps.{}", name), fields, {{"format", "swaps.yaml:7: swaps.api.format"}}};
}

SwapText text_of(const char* fields, const Json& more = Json::object()) {
  Json json = Json::parse(fields);
  json.update(more);
  return text_of(json);
}

std::string refusal(const char* fields, const Json& more) {
  const auto swap = parse_swap(text_of(fields, more));
  if (swap) return "accepted";
  EXPECT_EQ(swap.error().kind, ErrorKind::usage);
  EXPECT_NE(swap.error().remediation, "") << swap.error().message;
  return swap.error().message;
}

// "NAME", with "secret" and "optional" behind it.
std::string variables(const Swap& swap) {
  std::string text;
  for (const Swap::Variable& variable : swap.variables()) {
    text += (text.empty() ? "" : ", ") + variable.name;
    if (variable.secret) text += " secret";
    if (variable.optional) text += " optional";
  }
  return text;
}

std::string refusal_without(const char* fields, const char* field) {
  Json json = Json::parse(fields);
  json.erase(field);
  const auto swap = parse_swap(text_of(json));
  return swap ? "accepted" : swap.error().message;
}

TEST(Swap, HasUsualPlacements) {
  const auto plain = parse_swap(text_of(kStatic)).value();
  EXPECT_EQ(plain.placement.header, "Authorization");
  EXPECT_EQ(plain.placement.before, "");
  EXPECT_EQ(plain.domains, (std::vector<SwapDomain>{{"api.example.com", false}}));
  const auto token = parse_swap(text_of(kOauth)).value();
  EXPECT_EQ(token.placement.before, "Bearer ");
  EXPECT_EQ(token.token_response_field, "access_token");
  EXPECT_EQ(parse_swap(text_of(kJwt)).value().algorithm, Swap::Algorithm::rs256);
}

TEST(Swap, PutsTheSecretWhereItIsTold) {
  const auto header = parse_swap(text_of(kStatic, {{"header", "x-api-key"}, {"format", "v1 {key}."}})).value();
  EXPECT_EQ(header.placement.header, "x-api-key");
  EXPECT_EQ(header.placement.before, "v1 ");
  EXPECT_EQ(header.placement.after, ".");
  const auto basic = parse_swap(text_of(kStatic, {{"basic", "git"}})).value();
  EXPECT_EQ(basic.placement.basic_user, "git");
  EXPECT_EQ(basic.placement.header, "");
  EXPECT_EQ(parse_swap(text_of(kStatic, {{"query", "key"}})).value().placement.query, "key");
  const auto placeholder = parse_swap(text_of(kStatic, {{"placeholder", "PLACEHOLDER"}, {"inBody", "true"}})).value();
  EXPECT_EQ(placeholder.placement.placeholder, "PLACEHOLDER");
  EXPECT_EQ(placeholder.placement.header, "");
  EXPECT_TRUE(placeholder.placement.in_body);
}

TEST(Swap, RefusesAWrongPlacementWithItsLine) {
  EXPECT_EQ(refusal(kStatic, {{"format", "Bearer {token}"}}), "swaps.yaml:7: swaps.api.format: does not hold {key}");
  EXPECT_THAT(refusal(kOauth, {{"format", "Bearer {key}"}}), HasSubstr("does not hold {token}"));
  EXPECT_THAT(refusal(kStatic, {{"format", "{key} {user}"}}), HasSubstr("no other word"));
  EXPECT_THAT(refusal(kStatic, {{"format", "{key}{key}"}}), HasSubstr("once"));
  EXPECT_THAT(refusal(kStatic, {{"format", "{key}\r\nX: y"}}), StartsWith("swaps.yaml:7: "));
  EXPECT_THAT(refusal(kStatic, {{"format", "Bearer sk-0123456789"}}), Not(HasSubstr("sk-")));
  EXPECT_EQ(refusal(kStatic, {{"header", "X Y"}}),
            "swaps.yaml:2: swaps.api.header: is no header that a secret can stand in");
  for (const char* kept : {"Host", "content-length", "Transfer-Encoding", "Connection"}) {
    EXPECT_THAT(refusal(kStatic, {{"header", kept}}), HasSubstr("is no header"));
  }
  EXPECT_THAT(refusal(kStatic, {{"query", "a&b"}}), HasSubstr("no name of a parameter"));
  EXPECT_THAT(refusal(kStatic, {{"basic", "a:b"}}), HasSubstr("no user name"));
  EXPECT_THAT(refusal(kStatic, {{"basic", "a"}, {"query", "b"}}), HasSubstr("beside another place"));
  EXPECT_THAT(refusal(kStatic, {{"basic", "a"}, {"header", "b"}}), HasSubstr("beside another place"));
  EXPECT_THAT(refusal(kStatic, {{"placeholder", "short"}}), HasSubstr("is no placeholder"));
  EXPECT_THAT(refusal(kStatic, {{"inBody", "true"}}), HasSubstr("needs a placeholder"));
  EXPECT_THAT(refusal(kStatic, {{"inBody", "yes"}, {"placeholder", "PLACEHOLDER"}}), HasSubstr("neither true"));
}

TEST(Swap, RefusesUnknownAndMissingFields) {
  EXPECT_THAT(refusal(kStatic, {{"keyref", "env:A"}}), HasSubstr("swaps.api.keyref: is no field"));
  EXPECT_THAT(refusal(kStatic, {{"token_url", "https://a.example/"}}), HasSubstr("token_url: is no field"));
  EXPECT_THAT(refusal(kOauth, {{"key_ref", "env:A"}}), HasSubstr("key_ref: is no field"));
  EXPECT_THAT(refusal(kStatic, {{"type", "basic"}}), HasSubstr("is none of static"));
  for (const char* field : {"type", "domains", "key_ref"}) {
    EXPECT_THAT(refusal_without(kStatic, field), HasSubstr(std::string(field) + ": is missing"));
  }
  for (const char* field : {"token_url", "client_id_ref", "client_secret_ref"}) {
    EXPECT_THAT(refusal_without(kOauth, field), HasSubstr(std::string(field) + ": is missing"));
  }
  EXPECT_THAT(refusal_without(kJwt, "signing_key_ref"), HasSubstr("signing_key_ref: is missing"));
}

TEST(Swap, RefusesSecretsThatAreWrittenThere) {
  for (const auto& [fields, field] : {std::pair{kStatic, "key_ref"}, std::pair{kOauth, "client_id_ref"},
                                      std::pair{kOauth, "client_secret_ref"}, std::pair{kJwt, "signing_key_ref"}}) {
    EXPECT_THAT(refusal(fields, {{field, "sk-0123456789"}}),
                AllOf(HasSubstr("is no reference to a secret"), Not(HasSubstr("0123"))));
  }
}

TEST(Swap, RefusesDomainsThatAreNone) {
  for (const char* domain : {"*", ".com", "*.example.com", "198.51.100.7", "https://a.example", "a.example:443", ""}) {
    EXPECT_NE(refusal(kStatic, {{"domains", {domain}}}), "accepted") << domain;
  }
  EXPECT_NE(refusal(kStatic, {{"domains", Json::array()}}), "accepted");
  EXPECT_NE(refusal(kStatic, {{"domains", "a.example"}}), "accepted");
  EXPECT_EQ(parse_swap(text_of(kStatic, {{"domains", {"API.Example.com.", ".b.example"}}})).value().domains,
            (std::vector<SwapDomain>{{"api.example.com", false}, {"b.example", true}}));
}

TEST(Swap, ReadsWhatTokensAreMadeOf) {
  const auto oauth =
      parse_swap(
          text_of(kOauth, {{"scopes", {"a", "b"}}, {"token_response_field", "id_token"}, {"token_ttl_seconds", "600"}}))
          .value();
  EXPECT_THAT(oauth.scopes, ElementsAre("a", "b"));
  EXPECT_EQ(oauth.token_response_field, "id_token");
  EXPECT_EQ(oauth.token_ttl_seconds, 600U);
  const auto jwt = parse_swap(text_of(kJwt, {{"algorithm", "ES256"},
                                             {"key_id", "k1"},
                                             {"claims", {{"iss", "${ISSUER}"}, {"aud", "x"}}},
                                             {"token_url", "https://a.example/t"},
                                             {"scopes", {"s"}}}))
                       .value();
  EXPECT_EQ(jwt.algorithm, Swap::Algorithm::es256);
  EXPECT_EQ(jwt.key_id, "k1");
  EXPECT_EQ(variables(jwt), "ISSUER");
  EXPECT_EQ(variables(oauth), "ID");
  for (const Json& more :
       {Json{{"algorithm", "HS256"}}, Json{{"claims", {{"exp", "1"}}}}, Json{{"claims", {{"iss", "a${B}"}}}},
        Json{{"token_ttl_seconds", "0"}}, Json{{"token_ttl_seconds", "1h"}}, Json{{"scopes", {"a"}}}}) {
    EXPECT_NE(refusal(kJwt, more), "accepted") << more;
  }
  EXPECT_THAT(refusal(kOauth, {{"token_url", "http://auth.example/"}}), HasSubstr("without TLS"));
}

TEST(Swap, SaysWhatItTakesOfTheEnvironment) {
  const auto taken = [](const char* fields, const Json& more) {
    return variables(parse_swap(text_of(fields, more)).value());
  };
  EXPECT_EQ(taken(kStatic, Json::object()), "KEY secret");
  EXPECT_EQ(taken(kStatic, {{"key_ref", "file:/k"}}), "");
  EXPECT_EQ(taken(kStatic, {{"key_ref", "vault:secret/data/x#y"}}),
            "VAULT_ADDR, VAULT_TOKEN secret, VAULT_NAMESPACE optional");
  EXPECT_EQ(taken(kOauth, {{"client_secret_ref", "env:S"}}), "ID, S secret");
}

TEST(Swap, HasAPlainName) {
  for (const char* name : {"", "a b", "a\nb", "a/b", "a*b", "\xc3\xa9"}) {
    const auto swap = parse_swap(text_of(Json::parse(kStatic), name));
    ASSERT_FALSE(swap) << name;
    EXPECT_THAT(swap.error().message, HasSubstr("is no name for a swap"));
  }
  EXPECT_FALSE(parse_swap(text_of(Json::parse(kStatic), std::string(65, 'a').c_str())));
  EXPECT_TRUE(parse_swap(text_of(Json::parse(kStatic), "Open-AI_2.test")));
}

TEST(Swaps, AreFoundByTheMostSpecificDomain) {
  const auto all =
      SwapSet::compile({text_of({{"type", "static"}, {"domains", {".x.example"}}, {"key_ref", "env:A"}}, "a"),
                        text_of({{"type", "static"}, {"domains", {"x.example"}}, {"key_ref", "env:A"}}, "b"),
                        text_of({{"type", "static"}, {"domains", {".y.x.example"}}, {"key_ref", "env:A"}}, "c")})
          .value();
  const auto name_of = [&](const char* host) { return all.find(host) ? all.find(host)->name : ""; };
  EXPECT_EQ(name_of("x.example"), "b");
  EXPECT_EQ(name_of("z.x.example"), "a");
  EXPECT_EQ(name_of("y.x.example"), "c");
  EXPECT_EQ(name_of("z.y.x.example"), "c");
  EXPECT_EQ(name_of("ax.example"), "");
  EXPECT_EQ(name_of("example"), "");
}

TEST(Swaps, MayNotShareANameOrADomain) {
  const Json fields = Json::parse(kStatic);
  const auto domain = SwapSet::compile({text_of(fields, "a"), text_of(fields, "b")});
  ASSERT_FALSE(domain);
  EXPECT_EQ(domain.error().message,
            "swaps.yaml:2: swaps.b: api.example.com is a domain of swaps.yaml:2: swaps.a already");
  EXPECT_THAT(SwapSet::compile({text_of(fields, "a"), text_of(fields, "a")}).error().message, HasSubstr("the name"));
}

std::string misfit(const char* policy_text, const char* rule = nullptr, List list = List::allow) {
  PolicyText text;
  text.mode = std::string_view(policy_text) == "off" ? Mode::off : Mode::broker;
  text.lock_allowlist = std::string_view(policy_text) == "locked";
  if (rule != nullptr) text.list(list).push_back(rule_text(rule));
  const auto swaps = SwapSet::compile({text_of(kStatic)}).value();
  const auto checked = check_swaps(swaps, Policy::compile(text).value());
  return checked ? "" : checked.error().message;
}

TEST(Swaps, MustBeOfUse) {
  EXPECT_EQ(misfit("broker"), "");
  EXPECT_EQ(misfit("locked", "api.example.com"), "");
  EXPECT_EQ(misfit("locked", ".example.com:443"), "");
  EXPECT_EQ(misfit("locked"),
            "swaps.yaml:2: swaps.api: domain api.example.com: the locked allowlist does not allow it");
  EXPECT_THAT(misfit("locked", "other.example"), HasSubstr("locked"));
  EXPECT_THAT(misfit("off"), HasSubstr("mode off"));
  EXPECT_THAT(misfit("broker", ".example.com", List::deny), HasSubstr("deny rule"));
  EXPECT_THAT(misfit("broker", "api.example.com", List::passthrough), HasSubstr("passthrough"));
}

TEST(Swaps, MayBeOfUseAtOnePortAlone) {
  EXPECT_EQ(misfit("locked", "api.example.com:8443"), "");
  EXPECT_EQ(misfit("broker", "api.example.com:8443", List::deny), "");
  EXPECT_THAT(misfit("broker", "api.example.com:443", List::deny), HasSubstr("deny rule"));
  EXPECT_EQ(misfit("broker", "api.example.com:8443", List::passthrough), "");
}

TEST(Swaps, NameEveryMisfit) {
  PolicyText text;
  text.deny.push_back(rule_text("api.example.com"));
  text.passthrough.push_back(rule_text("b.example"));
  const auto swaps = SwapSet::compile({text_of(kStatic, {{"domains", {"api.example.com", "c.example", "b.example"}}})});
  EXPECT_THAT(find_misfits(*swaps, Policy::compile(text).value()),
              ElementsAre(Misfit{"swaps.yaml:2: swaps.api: domain api.example.com: a deny rule denies it",
                                 "remove the deny rule"},
                          Misfit{"swaps.yaml:2: swaps.api: domain b.example: a passthrough rule keeps it from being "
                                 "intercepted",
                                 "remove the passthrough rule"}));
}

TEST(Swaps, ComeBackFromJsonAsTheyWere) {
  const std::vector<SwapText> texts{text_of(kStatic), text_of(Json::parse(kOauth), "b")};
  EXPECT_EQ(swaps_from_json(to_json(texts), "swaps").value(), texts);
  for (const char* text :
       {"{}", "[1]", "[{}]", R"([{"name":"a"}])", R"([{"name":"a","fields":[]}])",
        R"([{"name":"a","fields":{},"more":1}])", R"([{"name":"a","fields":{},"places":{"x":1}}])"}) {
    EXPECT_FALSE(swaps_from_json(Json::parse(text), "swaps")) << text;
  }
}

TEST(Providers, AreSwapsThatFit) {
  for (const char* name :
       {"anthropic", "deepseek", "gemini", "github", "groq", "huggingface", "mistral", "openai", "openrouter"}) {
    const auto provider = provider_swap(name);
    ASSERT_TRUE(provider) << name;
    const auto set = SwapSet::compile(provider->swaps);
    ASSERT_TRUE(set) << set.error().message;
    for (const std::string& host : provider->hosts) EXPECT_TRUE(set->find(host)) << host;
    ASSERT_EQ(provider->environment.size(), 1U);
    EXPECT_EQ(variables(*set->all().front()), provider->environment[0].first + " secret");
  }
}

TEST(Providers, TakeAReference) {
  const auto provider = provider_swap("anthropic=file:/run/key").value();
  const auto swap = parse_swap(provider.swaps.at(0)).value();
  EXPECT_EQ(swap.key, (SecretRef{SecretRef::Scheme::file, "/run/key", ""}));
  EXPECT_EQ(swap.placement.header, "x-api-key");
  EXPECT_THAT(provider.environment, ElementsAre(std::pair("ANTHROPIC_API_KEY", "microagent-placeholder-anthropic")));
  const auto literal = provider_swap("openai=sk-0123456789");
  ASSERT_FALSE(literal);
  EXPECT_THAT(literal.error().message, AllOf(StartsWith("--cred-swap openai"), Not(HasSubstr("0123"))));
  EXPECT_THAT(provider_swap("nobody").error().remediation, HasSubstr("anthropic, deepseek"));
  EXPECT_FALSE(provider_swap(""));
}

}  // namespace
}  // namespace microagent::policy

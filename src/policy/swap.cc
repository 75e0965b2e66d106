#include "policy/swap.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "base/percent.h"
#include "policy/host.h"
#include "policy/swap_fields.h"
#include "policy/token_url.h"

namespace microagent::policy {
namespace {

constexpr std::array kTypes{std::pair{std::string_view("static"), Swap::Type::fixed},
                            std::pair{std::string_view("oauth2-cc"), Swap::Type::oauth2_cc},
                            std::pair{std::string_view("jwt-bearer"), Swap::Type::jwt_bearer}};
constexpr std::uint16_t kHttps = 443;
constexpr std::size_t kMinPlaceholder = 8;  // a shorter one would stand in headers by chance

// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
  const auto is_tchar = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::ranges::all_of(text, is_tchar);
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

// What errors, records and logs call it by.
bool is_name(std::string_view text) {
  constexpr std::size_t kMaxName = 64;
  return text.size() <= kMaxName && is_token(text) && text.find_first_of("!#$%&'*+^`|~") == std::string_view::npos;
}

std::optional<SwapDomain> parse_domain(std::string_view text) {
  SwapDomain domain;
  domain.suffix = text.starts_with('.');
  if (domain.suffix) text.remove_prefix(1);
  auto name = canonical_name(text);
  // A suffix of one label would give the secret to all of a top-level domain.
  if (!name || (domain.suffix && name->find('.') == std::string::npos)) return std::nullopt;
  domain.name = std::move(*name);
  return domain;
}

class SwapParser {
 public:
  explicit SwapParser(const SwapText& text) : fields_(text) {
    swap_.name = text.name;
    swap_.place = text.place;
  }

  Result<Swap> parse() {
    if (!is_name(swap_.name)) {
      return fail(ErrorKind::usage, fmt::format("{}: is no name for a swap", swap_.place),
                  "use 1 to 64 letters, digits, dots, hyphens and underscores");
    }
    read_type();
    read_domains();
    switch (swap_.type) {
      case Swap::Type::fixed: read_static(); break;
      case Swap::Type::oauth2_cc: read_oauth2(); break;
      case Swap::Type::jwt_bearer: read_jwt(); break;
    }
    read_placement();
    if (Status read = fields_.finish(); !read) return fail(read.error());
    return std::move(swap_);
  }

 private:
  void read_type() {
    fields_.require("type");
    const auto word = fields_.text("type");
    if (!word) return;
    const auto type = std::ranges::find(kTypes, *word, [](const auto& known) { return known.first; });
    if (type == kTypes.end())
      return fields_.reject("type", "is none of static, oauth2-cc and jwt-bearer", "write one of them");
    swap_.type = type->second;
  }

  void read_domains() {
    fields_.require("domains");
    for (const std::string& word : fields_.words("domains")) {
      auto domain = parse_domain(word);
      if (!domain) {
        return fields_.reject("domains", fmt::format("\"{}\" is no domain", word),
                              "write a host such as api.example.com, or .example.com for all below it, too");
      }
      swap_.domains.push_back(std::move(*domain));
    }
  }

  void read_static() {
    fields_.require("key_ref");
    swap_.key = fields_.reference("key_ref");
  }

  void read_oauth2() {
    for (const char* field : {"token_url", "client_id_ref", "client_secret_ref"}) fields_.require(field);
    read_token_url();
    swap_.client_id = fields_.reference("client_id_ref");
    swap_.client_secret = fields_.reference("client_secret_ref");
    read_token_fields();
  }

  void read_jwt() {
    fields_.require("signing_key_ref");
    swap_.signing_key = fields_.reference("signing_key_ref");
    if (const auto id = fields_.text("key_id")) swap_.key_id = *id;
    if (const auto word = fields_.text("algorithm")) {
      if (*word == "ES256") swap_.algorithm = Swap::Algorithm::es256;
      else if (*word != "RS256") fields_.reject("algorithm", "is neither RS256 nor ES256", "write one of them");
    }
    swap_.claims = fields_.entries("claims");
    for (const auto& [claim, value] : swap_.claims) {
      if (claim == "exp") fields_.reject("claims", "exp is ours to set", "use token_ttl_seconds");
      if (value.find("${") != std::string::npos && !claim_variable(value)) {
        fields_.reject("claims", fmt::format("{}: a variable must be the whole value", claim), "write ${NAME} alone");
      }
    }
    if (fields_.has("token_url")) return read_token_url(), read_token_fields();
    swap_.token_ttl_seconds = fields_.seconds("token_ttl_seconds");
  }

  void read_token_fields() {
    swap_.scopes = fields_.words("scopes");
    if (const auto field = fields_.text("token_response_field")) swap_.token_response_field = *field;
    swap_.token_ttl_seconds = fields_.seconds("token_ttl_seconds");
  }

  void read_token_url() {
    const auto url = fields_.text("token_url");
    if (!url) return;
    swap_.token_url = *url;
    const auto target = parse_token_url(*url);
    if (!target) return fields_.reject("token_url", target.error().message, target.error().remediation);
  }

  void read_placement() {
    Placement& placement = swap_.placement;
    if (const auto text = fields_.text("placeholder")) {
      placement.placeholder = *text;
      if (text->size() < kMinPlaceholder || !is_printable(*text) || text->find(' ') != std::string::npos) {
        fields_.reject("placeholder", "is no placeholder",
                       fmt::format("use {} printable characters or more, without spaces", kMinPlaceholder));
      }
    }
    placement.in_body = fields_.truth("inBody").value_or(false);
    if (placement.in_body && placement.placeholder.empty()) {
      fields_.reject("inBody", "needs a placeholder", "say which text is to be replaced");
    }
    const bool header = fields_.has("header") || fields_.has("format");
    if (header + fields_.has("query") + fields_.has("basic") > 1) {
      return fields_.reject(fields_.has("query") ? "query" : "basic", "stands beside another place of the secret",
                            "keep one of header, query and basic");
    }
    if (const auto name = fields_.text("query")) {
      placement.query = *name;
      if (name->empty() || !std::ranges::all_of(*name, is_unreserved))
        fields_.reject("query", "is no name of a parameter", "use letters, digits and -._~");
      return;
    }
    if (const auto user = fields_.text("basic")) {
      placement.basic_user = *user;
      if (!is_printable(*user) || user->find(':') != std::string::npos) {
        fields_.reject("basic", "is no user name", "it may hold no colon");
      }
      return;
    }
    if (header || placement.placeholder.empty()) read_header();
  }

  void read_header() {
    Placement& placement = swap_.placement;
    placement.header = fields_.text("header").value_or("Authorization");
    if (!is_token(placement.header) || !may_hold_secret(placement.header)) {
      fields_.reject("header", "is no header that a secret can stand in", "write its name, such as Authorization");
    }
    const bool fixed = swap_.type == Swap::Type::fixed;
    const std::string word = fixed ? "{key}" : "{token}";
    const std::string format = fields_.text("format").value_or(fixed ? "{key}" : "Bearer {token}");
    const std::size_t at = format.find(word);
    if (at == std::string::npos) {
      return fields_.reject("format", fmt::format("does not hold {}", word),
                            fmt::format("write for example: Bearer {}", word));
    }
    placement.before = format.substr(0, at);
    placement.after = format.substr(at + word.size());
    for (const std::string* part : {&placement.before, &placement.after}) {
      if (!is_printable(*part) || part->find_first_of("{}") != std::string::npos) {
        return fields_.reject("format", fmt::format("may hold {} once, and no other word in braces", word),
                              fmt::format("write for example: Bearer {}", word));
      }
    }
  }

  SwapFields fields_;
  Swap swap_;
};

std::string place_of(const Swap& swap) { return swap.place.empty() ? "swap " + swap.name : swap.place; }

}  // namespace

bool SwapDomain::matches(std::string_view canonical) const {
  if (canonical == name) return true;
  return suffix && canonical.size() > name.size() && canonical.ends_with(name) &&
         canonical[canonical.size() - name.size() - 1] == '.';
}

std::string_view to_string(Swap::Type type) {
  return std::ranges::find(kTypes, type, [](const auto& known) { return known.second; })->first;
}

bool may_hold_secret(std::string_view header) {
  constexpr std::array<std::string_view, 12> kKept{"host",   "connection",       "content-length", "transfer-encoding",
                                                   "te",     "trailer",          "keep-alive",     "upgrade",
                                                   "expect", "content-encoding", "content-type",   "proxy-connection"};
  return std::ranges::find(kKept, to_lower_ascii(header)) == kKept.end();
}

std::optional<std::string> claim_variable(std::string_view value) {
  if (!value.starts_with("${") || !value.ends_with('}')) return std::nullopt;
  const std::string_view name = value.substr(2, value.size() - 3);
  if (!is_environment_name(name)) return std::nullopt;
  return std::string(name);
}

std::vector<Swap::Variable> Swap::variables() const {
  std::vector<Variable> wanted;
  for (const auto& [ref, secret] : {std::pair{&key, true}, std::pair{&client_id, false},
                                    std::pair{&client_secret, true}, std::pair{&signing_key, true}}) {
    if (!*ref) continue;
    if ((*ref)->scheme == SecretRef::Scheme::env) wanted.push_back({(*ref)->target, secret});
    if ((*ref)->scheme == SecretRef::Scheme::vault) {
      wanted.push_back({"VAULT_ADDR"});
      wanted.push_back({"VAULT_TOKEN", true});
      wanted.push_back({"VAULT_NAMESPACE", false, true});
    }
  }
  for (const auto& [claim, value] : claims) {
    if (auto variable = claim_variable(value)) wanted.push_back({std::move(*variable)});
  }
  return wanted;
}

Result<Swap> parse_swap(const SwapText& text) {
  if (!text.fields.is_object()) {
    return fail(ErrorKind::usage, fmt::format("{}: is not a map", text.place.empty() ? text.name : text.place));
  }
  return SwapParser(text).parse();
}

Result<SwapSet> SwapSet::compile(const std::vector<SwapText>& texts) {
  constexpr std::size_t kMaxSwaps = 1000;
  if (texts.size() > kMaxSwaps) {
    return fail(ErrorKind::usage, fmt::format("{} swaps are more than {}", texts.size(), kMaxSwaps));
  }
  SwapSet set;
  std::map<std::string, SwapPtr> names, domains;
  for (const SwapText& text : texts) {
    auto parsed = parse_swap(text);
    if (!parsed) return fail(parsed.error());
    const auto swap = std::make_shared<const Swap>(std::move(*parsed));
    if (const auto [other, is_new] = names.emplace(swap->name, swap); !is_new) {
      return fail(ErrorKind::usage,
                  fmt::format("{}: the name stands at {} already", place_of(*swap), place_of(*other->second)),
                  "give each swap a name of its own");
    }
    for (const SwapDomain& domain : swap->domains) {
      const auto [other, is_new] = domains.emplace(domain.text(), swap);
      if (is_new) continue;
      return fail(
          ErrorKind::usage,
          fmt::format("{}: {} is a domain of {} already", place_of(*swap), domain.text(), place_of(*other->second)),
          "a domain can have one credential");
    }
    set.swaps_.push_back(swap);
  }
  return set;
}

SwapPtr SwapSet::find(std::string_view canonical) const {
  SwapPtr best;
  std::pair<std::size_t, bool> rank;
  for (const SwapPtr& swap : swaps_) {
    for (const SwapDomain& domain : swap->domains) {
      if (!domain.matches(canonical)) continue;
      const std::pair next{domain.name.size(), !domain.suffix};
      if (best && next <= rank) continue;
      best = swap;
      rank = next;
    }
  }
  return best;
}

std::optional<Obstacle> find_obstacle(const Policy& policy, const std::string& name) {
  if (policy.mode() == Mode::off) return Obstacle{"egress mode off swaps nothing", "use mode broker or mitm"};
  const auto denies = [](const RulePtr& rule) { return !rule->needs_request(); };
  if (std::ranges::any_of(policy.list(List::deny).find_name(name, kHttps), denies)) {
    return Obstacle{"a deny rule denies it", "remove the deny rule"};
  }
  if (!policy.list(List::passthrough).find_name(name, kHttps).empty()) {
    return Obstacle{"a passthrough rule keeps it from being intercepted", "remove the passthrough rule"};
  }
  if (policy.lock_allowlist() && policy.list(List::allow).find_name(name).empty()) {
    return Obstacle{"the locked allowlist does not allow it", ""};
  }
  return std::nullopt;
}

std::vector<Misfit> find_misfits(const SwapSet& swaps, const Policy& policy) {
  std::vector<Misfit> misfits;
  for (const SwapPtr& swap : swaps.all()) {
    for (const SwapDomain& domain : swap->domains) {
      auto obstacle = find_obstacle(policy, domain.name);
      if (!obstacle) continue;
      if (obstacle->remedy.empty()) obstacle->remedy = fmt::format("use --egress-allow {}", domain.text());
      misfits.push_back({fmt::format("{}: domain {}: {}", place_of(*swap), domain.text(), obstacle->why),
                         std::move(obstacle->remedy)});
    }
  }
  return misfits;
}

Status check_swaps(const SwapSet& swaps, const Policy& policy) {
  auto misfits = find_misfits(swaps, policy);
  if (misfits.empty()) return {};
  return fail(ErrorKind::usage, std::move(misfits.front().message), std::move(misfits.front().remedy));
}

}  // namespace microagent::policy

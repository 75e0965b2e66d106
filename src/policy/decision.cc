#include "policy/decision.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "policy/claim.h"
#include "policy/host.h"
#include "policy/path.h"

namespace microagent::policy {
namespace {

constexpr std::uint16_t kHttpsPort = 443;

std::string rule_words(List list, const Rule& rule) {
  // Appended and not formatted: every request that is let through has such words.
  std::string words(to_string(list));
  words.append(1, ' ').append(rule.text);
  return rule.place.empty() ? words : words.append(" (").append(rule.place).append(1, ')');
}

// A request as rules compare it.
struct JudgedRequest {
  std::string_view method;
  std::optional<std::string> path;  // nothing: ambiguous
};

enum class Match { no, yes, ambiguous };

// Methods are told by case (RFC 9110, 9.1), but not by every server: what is denied is so in any case, what is allowed
// in its own.
bool names_method(List list, const Rule& rule, std::string_view method) {
  if (rule.methods.empty()) return true;
  if (list != List::deny) return std::ranges::find(rule.methods, method) != rule.methods.end();
  const auto is_this = [small = to_lower_ascii(method)](const auto& denied) { return to_lower_ascii(denied) == small; };
  return std::ranges::any_of(rule.methods, is_this);
}

Match match(List list, const Rule& rule, const JudgedRequest& request) {
  if (!names_method(list, rule, request.method)) return Match::no;
  if (rule.paths.empty()) return Match::yes;
  if (!request.path) return Match::ambiguous;
  const bool named = std::ranges::any_of(rule.paths, [&](const auto& p) { return matches_path(p, *request.path); });
  return named ? Match::yes : Match::no;
}

// One judgement on its way to a decision.
class Judge {
 public:
  Judge(const Policy& policy, const Surroundings& surroundings, const Facts& facts, const Request* request)
      : policy_(policy), surroundings_(surroundings), facts_(facts), claim_(claim_of(facts)) {
    if (request != nullptr) request_ = JudgedRequest{request->method, canonical_path(request->path)};
  }

  Decision decide() {
    if (policy_.mode() == Mode::off) return decide_off();
    const bool quic = facts_.protocol == Protocol::udp && facts_.port == kHttpsPort;
    Decision decision = quic ? decide_quic() : decide_judged();
    if (!policy_.observe() || decision.allowed()) return decision;
    if (is_loopback(claim_.destination)) return decision;
    decision.would_deny = true;
    if (decision.signal == Signal::denied) decision.signal = Signal::none;
    decision.verdict = way_through(false);
    return decision;
  }

 private:
  Decision decide_off() const {
    if (auto allowed = find_grant(List::allow)) return granted(List::allow, std::move(allowed), Verdict::splice);
    if (is_loopback(claim_.destination)) {
      return denied(Reason::inside, Signal::denied, "mode off: the host's loopback is never reached");
    }
    return built_in(Verdict::splice, Reason::off, "mode off: nothing is judged");
  }

  Decision decide_quic() const { return denied(Reason::quic, Signal::quic_udp443, "quic: clients fall back to TCP"); }

  Decision decide_judged() {
    if (claim_.invalid)
      return denied(Reason::invalid_name, signal_of_denial(), "names: what was named is no host name");
    if (auto decision = decide_by_deny_rules()) return std::move(*decision);
    if (auto rule = find_grant(List::passthrough)) return decide_passthrough(std::move(rule));
    if (auto rules = find_level(List::allow); !rules.empty()) return decide_listed(std::move(rules));
    return decide_unlisted();
  }

  // Every plain deny rule that matches denies, however specific others are; one that needs the request is kept in mind.
  std::optional<Decision> decide_by_deny_rules() {
    RulePtr first;
    std::size_t denied_names = 0;
    for (const std::string& name : claim_.denying) {
      if (auto rule = find_denial(policy_.list(List::deny).find_name(name, facts_.port))) {
        ++denied_names;
        if (!first) first = std::move(rule);
      }
    }
    if (claim_.denied_only_by_all && denied_names < claim_.denying.size()) first = nullptr;
    if (!first) first = find_denial(policy_.list(List::deny).find_address(claim_.destination, facts_.port));
    if (ambiguous_ && !first) return denied_by(List::deny, std::move(ambiguous_), Reason::ambiguous_path);
    if (!first) return std::nullopt;
    return denied_by(List::deny, std::move(first), Reason::deny_rule);
  }

  RulePtr find_denial(const std::vector<RulePtr>& rules) {
    for (const RulePtr& rule : rules) {
      if (!rule->needs_request()) return rule;
      if (!request_) {
        conditional_denial_ = rule;
        continue;
      }
      const Match matched = match(List::deny, *rule, *request_);
      if (matched == Match::yes) return rule;
      if (matched == Match::ambiguous) ambiguous_ = rule;
    }
    return nullptr;
  }

  Decision decide_passthrough(RulePtr rule) const {
    if (conditional_denial_) return decide_readable(List::passthrough, std::move(rule));
    const Verdict verdict = way_through(false) == Verdict::peek ? Verdict::peek : Verdict::splice;
    return granted(List::passthrough, std::move(rule), verdict);
  }

  // `rules` stand at one place: the most specific that matches.
  Decision decide_listed(std::vector<RulePtr> rules) const {
    if (request_) return decide_listed_request(rules);
    const auto plain = std::ranges::find_if(rules, [](const RulePtr& rule) { return !rule->needs_request(); });
    if (plain == rules.end() || conditional_denial_) {
      return decide_readable(List::allow, plain == rules.end() ? rules.front() : *plain);
    }
    return granted(List::allow, *plain, way_through(wants_swap()));
  }

  Decision decide_listed_request(const std::vector<RulePtr>& rules) const {
    RulePtr ambiguous;
    for (const RulePtr& rule : rules) {
      const Match matched = match(List::allow, *rule, *request_);
      if (matched == Match::yes) return granted(List::allow, rule, Verdict::splice);
      if (matched == Match::ambiguous) ambiguous = rule;
    }
    if (ambiguous) return denied_by(List::allow, std::move(ambiguous), Reason::ambiguous_path);
    return denied_by(List::allow, rules.front(), Reason::request_unlisted);
  }

  Decision decide_unlisted() const {
    if (auto why = inside(claim_.destination, surroundings_)) {
      return denied(Reason::inside, signal_of_denial(), "inside: " + *why);
    }
    if (policy_.lock_allowlist() || policy_.observe()) {
      return denied(Reason::not_listed, signal_of_denial(), "lockAllowlist: not listed");
    }
    if (conditional_denial_) {
      const Verdict verdict = way_through(true);
      if (verdict == Verdict::splice) return unreadable();
      return built_in(verdict, Reason::unlisted_public, kPublic);
    }
    return built_in(way_through(wants_swap()), Reason::unlisted_public, kPublic);
  }

  // A flow that may live only if its requests can be read.
  Decision decide_readable(List list, RulePtr rule) const {
    const Verdict verdict = way_through(true);
    if (verdict != Verdict::splice) return granted(list, std::move(rule), verdict);
    if (conditional_denial_) return unreadable();
    return denied_by(list, std::move(rule), Reason::unreadable);
  }

  Decision unreadable() const { return denied_by(List::deny, conditional_denial_, Reason::unreadable); }

  // How a flow that may live goes on. Splice where there are no requests to read, wanted or not.
  Verdict way_through(bool requests_wanted) const {
    if (request_ || facts_.protocol != Protocol::tcp) return Verdict::splice;
    if (facts_.content == Content::unseen) return Verdict::peek;
    if (facts_.content == Content::opaque) return Verdict::splice;
    return requests_wanted || policy_.mode() == Mode::mitm ? Verdict::intercept : Verdict::splice;
  }

  // A name that is not bound gets no credential.
  bool wants_swap() const { return facts_.swap && !claim_.granting.empty(); }

  std::vector<RulePtr> find_matches(List list) const {
    for (const std::string& name : claim_.granting) {
      if (auto rules = policy_.list(list).find_name(name, facts_.port); !rules.empty()) return rules;
    }
    return policy_.list(list).find_address(claim_.destination, facts_.port);
  }

  RulePtr find_grant(List list) const {
    const auto rules = find_matches(list);
    return rules.empty() ? nullptr : rules.front();
  }

  std::vector<RulePtr> find_level(List list) const {
    auto rules = find_matches(list);
    std::erase_if(rules, [first = rules.empty() ? nullptr : rules.front()](const RulePtr& rule) {
      return !same_place(*first, *rule);
    });
    return rules;
  }

  Signal signal_of_denial() const { return claim_.signal == Signal::none ? Signal::denied : claim_.signal; }

  Decision built_in(Verdict verdict, Reason reason, std::string_view text) const {
    return {verdict, reason, claim_.signal, false, claim_.host, nullptr, std::string(text)};
  }
  Decision granted(List list, RulePtr rule, Verdict verdict) const {
    std::string words = rule_words(list, *rule);
    return {verdict, Reason::listed, claim_.signal, false, claim_.host, std::move(rule), std::move(words)};
  }
  Decision denied(Reason reason, Signal signal, std::string_view text) const {
    return {Verdict::deny, reason, signal, false, claim_.host, nullptr, std::string(text)};
  }
  Decision denied_by(List list, RulePtr rule, Reason reason) const {
    std::string words = rule_words(list, *rule);
    return {Verdict::deny, reason, signal_of_denial(), false, claim_.host, std::move(rule), std::move(words)};
  }

  static constexpr std::string_view kPublic = "default: public addresses are allowed";

  const Policy& policy_;
  const Surroundings& surroundings_;
  const Facts& facts_;
  const Claim claim_;
  std::optional<JudgedRequest> request_;
  RulePtr conditional_denial_;  // a deny rule that may match one of the requests to come
  RulePtr ambiguous_;           // a deny rule that may match this request
};

Decision lookup(std::string_view name, Reason reason, std::string text, RulePtr rule = nullptr) {
  return {Verdict::splice, reason, Signal::none, false, to_lower_ascii(name), std::move(rule), std::move(text)};
}

Decision lookup_denied(const Policy& policy, Decision decision) {
  decision.would_deny = policy.observe();
  if (policy.observe()) return decision;
  decision.verdict = Verdict::deny;
  decision.signal = Signal::denied;
  return decision;
}

// A rule for some ports or requests only leaves the name of use for the others.
RulePtr find_lookup_denial(const Policy& policy, std::string_view name) {
  for (RulePtr& rule : policy.list(List::deny).find_name(name)) {
    if (rule->ports.empty() && !rule->needs_request()) return std::move(rule);
  }
  return nullptr;
}

}  // namespace

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::listed: return "listed";
    case Reason::unlisted_public: return "public";
    case Reason::off: return "off";
    case Reason::deny_rule: return "denied";
    case Reason::inside: return "inside";
    case Reason::not_listed: return "not-listed";
    case Reason::invalid_name: return "invalid-name";
    case Reason::unreadable: return "unreadable";
    case Reason::request_unlisted: return "request-not-listed";
    case Reason::ambiguous_path: return "ambiguous-path";
    case Reason::quic: return "quic";
  }
  return "unknown";
}

std::string_view to_string(Signal signal) {
  switch (signal) {
    case Signal::none: return "";
    case Signal::denied: return "denied";
    case Signal::direct_ip_no_sni: return "direct-ip-no-sni";
    case Signal::quic_udp443: return "quic-udp443";
    case Signal::foreign_resolver: return "foreign-resolver";
    case Signal::name_destination_mismatch: return "name-destination-mismatch";
    case Signal::dns_over_https: return "dns-over-https";
    case Signal::unmediatable_protocol: return "unmediatable-protocol";
    case Signal::unresolved_secret_ref: return "unresolved-secret-ref";
  }
  return "";
}

Decision decide(const Policy& policy, const Surroundings& surroundings, const Facts& facts) {
  return Judge(policy, surroundings, facts, nullptr).decide();
}

Decision decide_request(const Policy& policy, const Surroundings& surroundings, const Facts& facts,
                        const Request& request) {
  return Judge(policy, surroundings, facts, &request).decide();
}

Decision decide_lookup(const Policy& policy, std::string_view name) {
  if (policy.mode() == Mode::off) return lookup(name, Reason::off, "mode off: nothing is judged");
  if (RulePtr rule = find_lookup_denial(policy, to_lower_ascii(name))) {
    return lookup_denied(policy, lookup(name, Reason::deny_rule, rule_words(List::deny, *rule), rule));
  }
  for (const List list : {List::passthrough, List::allow}) {
    const auto rules = policy.list(list).find_name(to_lower_ascii(name));
    if (!rules.empty()) return lookup(name, Reason::listed, rule_words(list, *rules.front()), rules.front());
  }
  if (policy.lock_allowlist() || policy.observe()) {
    return lookup_denied(policy, lookup(name, Reason::not_listed, "lockAllowlist: not listed"));
  }
  return lookup(name, Reason::unlisted_public, "default: every name may be looked up");
}

}  // namespace microagent::policy

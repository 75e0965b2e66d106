// What the supervisor relays from people: a new policy, questions about it, quarantine (flow/control.h).

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "mediator/endpoint.h"
#include "mediator/io.h"
#include "mediator/mediator.h"
#include "policy/host.h"
#include "policy/policy_json.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::json;
using Phase = LiveFlow::Phase;

constexpr std::size_t kMaxNamedRules = 32;  // of one change, in its record
constexpr std::uint16_t kHttpsPort = 443;

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

// "deny .evil.example", for all rules of a policy.
std::set<std::string> rule_words(const policy::Policy& policy) {
  std::set<std::string> words;
  for (const policy::List list : {policy::List::allow, policy::List::deny, policy::List::passthrough}) {
    for (const policy::RulePtr& rule : policy.list(list).rules()) {
      words.insert(fmt::format("{} {}", policy::to_string(list), rule->text));
    }
  }
  return words;
}

Json difference(const std::set<std::string>& from, const std::set<std::string>& without) {
  Json words = Json::array();
  for (const std::string& word : from) {
    if (without.contains(word)) continue;
    if (words.size() == kMaxNamedRules) {
      words.push_back("and more");
      break;
    }
    words.push_back(word);
  }
  return words;
}

}  // namespace

void Mediator::on_supervisor_message(const Json& message, Fd fd) {
  recorder_.flush();  // whoever changes what holds for flows finds them all decided
  const std::string type = text_of(message, "type");
  if (type == "shutdown") return agent_.shutdown(std::chrono::milliseconds(number_of(message, "patienceMs")));
  if (type != "request") return log_warning("the supervisor sent a message of an unknown type");
  const std::uint64_t id = number_of(message, "id");
  const std::string ask = text_of(message, "ask");
  if (ask == "policy") return supervisor_.answer(id, change_policy(std::move(fd)));
  if (ask == "status") return supervisor_.answer(id, status());
  if (ask == "quarantine") return supervisor_.answer(id, quarantine());
  if (ask == "explain") return spawn(io_.get_executor(), explain(id, message));
  supervisor_.answer(id, fail(ErrorKind::usage, fmt::format("\"{}\" is no request", ask)));
}

// All or nothing: compiled before anything changes, and written down before it takes effect.
Result<Json> Mediator::change_policy(Fd file) {
  auto text = read_policy_file(file.get());
  if (!text) return fail(text.error());
  auto next = LivePolicy::make(*text);
  if (!next) return fail(next.error());
  // A guest that was told of no authority before is told now, and its next commands know of it.
  if (const Status trusted = prepare_trust(*text); !trusted) return fail(trusted.error());
  const auto before = rule_words(policy_.policy()), after = rule_words(next->policy());
  Record change{audit::Event::policy_changed, audit::Fields::object()};
  audit::Fields& fields = change.fields;
  fields["version"] = policy_.version() + 1;
  fields["mode"] = policy::to_string(next->policy().mode());
  fields["lockAllowlist"] = next->policy().lock_allowlist();
  if (next->policy().observe()) fields["observe"] = true;
  fields["added"] = difference(after, before);
  fields["removed"] = difference(before, after);
  // Written with the change, or neither is.
  const bool begins = !swapper_ && !policy::may_intercept(policy_.text()) && policy::may_intercept(*text);
  if (begins) recorder_.write_later(0, change);
  if (begins) change = {audit::Event::mitm_enabled, audit::Fields::object()};
  if (!recorder_.write(0, change)) return fail(ErrorKind::permanent, "the audit log cannot be written");

  policy_.replace(std::move(*next));
  pool_.clear();
  if (Status granted = caps_->apply(policy_.policy()); !granted) log_error("{}", granted.error().message);
  return Json{{"version", policy_.version()}, {"killed", end_forbidden_flows()}};
}

// Flows that the policy in force would not have let begin.
std::size_t Mediator::end_forbidden_flows() {
  std::size_t killed = 0;
  for (const auto& [id, flow] : flows_) {
    if (flow->phase != Phase::settled || flow->audit_flow == 0 || flow->mediation) continue;
    if (!is_forbidden(*flow)) continue;
    netd_->kill(id);
    ++killed;
  }
  return killed;
}

// With the requests that are under way on it: one that goes on for hours is not asked again.
bool Mediator::is_forbidden(const LiveFlow& flow) const {
  const policy::Decision decision = decide(flow);
  if (!decision.allowed()) return true;
  if (decision.verdict == policy::Verdict::intercept && !flow.relay) return true;  // it goes unread
  const auto is_allowed = [&](const OpenRequest& request) { return decide(flow, request.asked).allowed(); };
  return !std::ranges::all_of(flow.requests, is_allowed);
}

Json Mediator::status() const {
  const auto live = std::ranges::count_if(flows_, [](const auto& entry) { return entry.second->audit_flow != 0; });
  return {{"version", policy_.version()},
          {"flows", live},
          {"bytesOut", caps_->bytes_out()},
          {"bytesIn", caps_->bytes_in()},
          {"denials", recorder_.denial_count()}};
}

// netd ends every flow and tells how; what is asked from now on is refused.
Result<Json> Mediator::quarantine() {
  if (!quarantined_) {
    quarantined_ = true;
    pool_.clear();
    netd_->sever();
    recorder_.write(0, {audit::Event::quarantined, audit::Fields::object()});
  }
  return Json{{"killed", flows_.size()}};
}

asio::awaitable<void> Mediator::explain(std::uint64_t id, Json question) {
  auto host = policy::parse_host(text_of(question, "host"));
  if (!host) co_return supervisor_.answer(id, fail(host.error()));
  const std::uint64_t port = question.contains("port") ? number_of(question, "port") : kHttpsPort;
  if (port == 0 || port > 65'535) co_return supervisor_.answer(id, fail(ErrorKind::usage, "no such port"));
  policy::Facts facts;
  facts.protocol = text_of(question, "protocol") == "udp" ? policy::Protocol::udp : policy::Protocol::tcp;
  facts.port = static_cast<std::uint16_t>(port);
  Json result = {{"host", policy::to_string(*host)}, {"port", port}, {"version", policy_.version()}};
  result["destinations"] = Json::array();

  std::vector<policy::Address> addresses;
  if (const auto* address = std::get_if<policy::Address>(&*host)) {
    addresses = {*address};
  } else {
    facts.name = std::get<std::string>(*host);
    const policy::Decision lookup = policy::decide_lookup(policy_.policy(), facts.name);
    result["lookup"] = to_json(lookup);
    if (lookup.allowed()) addresses = co_await dns_.addresses_of(facts.name);
  }
  if (const Status status = host_addresses_.refresh(surroundings_.host); !status) {
    co_return supervisor_.answer(id, fail(status.error()));
  }
  for (const policy::Address& address : addresses) {
    facts.destination = address;
    facts.bound_names = dns_.names_of(address);
    if (!facts.name.empty() && std::ranges::find(facts.bound_names, facts.name) == facts.bound_names.end()) {
      facts.bound_names.push_back(facts.name);
    }
    Json entry = {{"address", policy::to_string(address)}};
    entry.update(to_json(explained(facts)));
    result["destinations"].push_back(std::move(entry));
  }
  supervisor_.answer(id, result);
}

// What both judgements of a flow come to: at its SYN, then with its first bytes, which are taken for TLS.
policy::Decision Mediator::explained(policy::Facts facts) const {
  policy::Decision first = policy::decide(policy_.policy(), surroundings_, facts);
  if (first.verdict != policy::Verdict::peek) return first;
  facts.content = facts.name.empty() ? policy::Content::opaque : policy::Content::tls;
  facts.swap = swap_for(facts) != nullptr;
  return policy::decide(policy_.policy(), surroundings_, facts);
}

}  // namespace microagent::mediator

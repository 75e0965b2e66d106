// microagent egress explain

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <set>

#include "cli/egress_change.h"
#include "cli/egress_rules.h"
#include "cli/swap_flags.h"
#include "cli/table.h"
#include "policy/decision.h"
#include "policy/host.h"
#include "policy/policy_json.h"
#include "supervisor/client.h"

namespace microagent::cli {
namespace {

using Json = nlohmann::json;
using policy::Address;

constexpr std::uint16_t kHttpsPort = 443;

struct ExplainOptions {
  std::string name, target;
  bool udp = false;
};

std::optional<Address> address_of(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    std::array<std::uint8_t, 4> octets{};
    std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, octets.size());
    return Address::ipv4(octets);
  }
  if (address->sa_family != AF_INET6) return std::nullopt;
  std::array<std::uint8_t, 16> octets{};
  std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, octets.size());
  return Address::ipv6(octets);
}

// What the host's own resolver knows: the mediator that would ask for the workspace does not run.
std::set<Address> look_up(const std::string& name) {
  addrinfo* list = nullptr;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &list) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(list, ::freeaddrinfo);
  std::set<Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (const auto address = address_of(entry->ai_addr)) addresses.insert(*address);
  }
  return addresses;
}

// What the manifest declares, which is what is in effect where the workspace runs.
struct Declared {
  policy::Policy policy;
  policy::SwapSet swaps;
};

Result<Declared> declared(const workspace::Manifest& manifest) {
  const auto text = policy_text(manifest.egress);
  if (!text) return fail(text.error());
  auto policy = policy::Policy::compile(*text);
  if (!policy) return fail(policy.error());
  auto swaps = swap_set(manifest.swaps);
  if (!swaps) return fail(swaps.error());
  return Declared{std::move(*policy), std::move(*swaps)};
}

// Whether requests to the target get a credential; null for one that has none.
Json explain_swap(const Declared& declared, const policy::Authority& target, bool udp) {
  const auto* name = std::get_if<std::string>(&target.host);
  const policy::SwapPtr swap = name != nullptr ? declared.swaps.find(*name) : nullptr;
  if (!swap) return nullptr;
  Json json = {{"name", swap->name}, {"type", to_string(swap->type)}, {"applies", true}};
  std::string why;
  if (udp) why = "a datagram is no request";
  else if (const auto obstacle = policy::find_obstacle(declared.policy, *name)) why = obstacle->why;
  if (!why.empty()) json.update({{"applies", false}, {"why", why}});
  return json;
}

// As the mediator would judge, but for the addresses of the host's interfaces, which it alone follows.
Json explain_from_manifest(const workspace::Manifest& manifest, const Declared& declared,
                           const policy::Authority& target, bool udp) {
  const policy::Policy& policy = declared.policy;
  policy::Surroundings surroundings;
  surroundings.subnet = policy::parse_cidr(workspace::effective(manifest.network).subnet);
  policy::Facts facts;
  facts.protocol = udp ? policy::Protocol::udp : policy::Protocol::tcp;
  facts.port = target.port.value_or(kHttpsPort);
  Json result = {{"host", policy::to_string(target.host)}, {"port", *facts.port}, {"destinations", Json::array()}};

  std::set<Address> addresses;
  if (const auto* address = std::get_if<Address>(&target.host)) {
    addresses = {*address};
  } else {
    facts.name = std::get<std::string>(target.host);
    facts.bound_names = {facts.name};
    facts.swap = declared.swaps.find(facts.name) != nullptr;
    const policy::Decision lookup = policy::decide_lookup(policy, facts.name);
    result["lookup"] = to_json(lookup);
    if (lookup.allowed()) addresses = look_up(facts.name);
  }
  for (const Address& address : addresses) {
    facts.destination = address;
    facts.content = policy::Content::unseen;
    policy::Decision decision = policy::decide(policy, surroundings, facts);
    if (decision.verdict == policy::Verdict::peek) {
      facts.content = facts.name.empty() ? policy::Content::opaque : policy::Content::tls;
      decision = policy::decide(policy, surroundings, facts);
    }
    Json entry = {{"address", policy::to_string(address)}};
    entry.update(to_json(decision));
    result["destinations"].push_back(std::move(entry));
  }
  return result;
}

Cell verdict_cell(const Json& decision) {
  const bool allowed = decision.value("verdict", "") == "allow";
  return {allowed ? "allow" : "deny", allowed ? Colour::green : Colour::red};
}

std::string describe_swap(const Json& swap) {
  const std::string name = fmt::format("{} ({})", swap.value("name", ""), swap.value("type", ""));
  if (swap.value("applies", false)) return fmt::format("HTTPS requests get the credential of swap {}\n", name);
  return fmt::format("no request gets the credential of swap {}: {}\n", name, swap.value("why", ""));
}

Status tell(const Context& context, const ExplainOptions& options, Json result, bool running) {
  result["workspace"] = options.name;
  result["running"] = running;
  if (context.out.json()) return context.out.record(result);
  Table table({"WHAT", "VERDICT", "REASON", "RULE"});
  const auto add = [&](const std::string& what, const Json& decision) {
    table.add({what, verdict_cell(decision), decision.value("reason", ""), decision.value("rule", "")});
  };
  if (result.contains("lookup")) add("look up " + result.value("host", ""), result["lookup"]);
  for (const Json& destination : result["destinations"]) {
    add(fmt::format("{} port {}", destination.value("address", ""), result.value("port", 0U)), destination);
  }
  std::string text = table.render(context.out);
  const bool looked_up = result.contains("lookup") && result["lookup"].value("verdict", "") == "allow";
  if (looked_up && result["destinations"].empty()) text += "the name has no address\n";
  if (result.contains("swap")) text += describe_swap(result["swap"]);
  return context.out.text(text);
}

Result<int> explain(const Context& context, const ExplainOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto manifest = store->load_manifest(options.name);
  if (!manifest) return fail(manifest.error());
  const auto target = policy::parse_authority(options.target);
  if (!target) return fail(with_context(target.error(), options.target));
  const auto runtime = store->load_settled_runtime(options.name);
  if (!runtime) return fail(runtime.error());

  const auto policy = declared(*manifest);
  if (!policy) return fail(policy.error());
  const bool running = runtime->state == workspace::State::running;
  Result<Json> result = Json();
  if (running) {
    result = supervisor::ask_mediator(*store, options.name,
                                      {{"ask", "explain"},
                                       {"host", policy::to_string(target->host)},
                                       {"port", target->port.value_or(kHttpsPort)},
                                       {"protocol", options.udp ? "udp" : "tcp"}});
  } else {
    result = explain_from_manifest(*manifest, *policy, *target, options.udp);
  }
  if (!result) return fail(result.error());
  if (Json swap = explain_swap(*policy, *target, options.udp); !swap.is_null()) (*result)["swap"] = std::move(swap);
  if (Status told = tell(context, options, std::move(*result), running); !told) return fail(told.error());
  return 0;
}

}  // namespace

void add_egress_explain(Commands& commands, CLI::App& parent) {
  auto [command, options] = commands.add_below<ExplainOptions>(
      parent, "explain", "Say what would be decided of a destination, and by which rule", explain);
  require_name(*command, options->name);
  command->add_option("TARGET", options->target, "HOST[:PORT], port 443 by default")->required()->type_name("");
  command->add_flag("--udp", options->udp, "a datagram in place of a connection");
}

}  // namespace microagent::cli

#include "cli/egress_flags.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "policy/policy_json.h"
#include "supervisor/trust_file.h"
#include "workspace/egress_spec.h"

namespace microagent::cli {
namespace {

using workspace::Declared;
using workspace::EgressDeclaration;
using workspace::EgressRule;

// The values of a list flag, which may hold several entries each, with commas between them.
void read_rules(const std::vector<std::string>& values, const char* flag, std::vector<EgressRule>& rules) {
  for (const std::string& value : values) {
    for (std::size_t begin = 0; begin <= value.size();) {
      const std::size_t end = std::min(value.find(',', begin), value.size());
      EgressRule rule;
      rule.destination = value.substr(begin, end - begin);
      rule.place = flag;
      rules.push_back(std::move(rule));
      begin = end + 1;
    }
  }
}

template <typename T>
Status read_cap(const std::optional<std::string>& value, const char* flag, Result<T> (*parse)(std::string_view),
                std::optional<Declared<T>>& out) {
  if (!value) return {};
  const auto cap = parse(*value);
  if (!cap) return fail(with_context(cap.error(), flag));
  out = Declared<T>{*cap, flag};
  return {};
}

void read_switch(const std::optional<bool>& value, const char* flag, std::optional<Declared<bool>>& out) {
  if (value) out = Declared<bool>{*value, flag};
}

Status check_trust(const EgressDeclaration& egress) {
  for (const Declared<std::string>& file : egress.trust) {
    const auto text = supervisor::read_trust_file(file.value);
    if (!text) return fail(with_context(text.error(), file.place));
  }
  return {};
}

// Replaces the word of the mode by what it means.
Status settle_mode(EgressDeclaration& egress) {
  if (!egress.mode) return {};
  const std::string written = egress.mode->value;
  const auto meaning = policy::parse_mode_word(written);
  if (!meaning) return fail(with_context(meaning.error(), egress.mode->place));
  egress.mode->value = policy::to_string(meaning->mode);
  if (!meaning->lock_allowlist) return {};
  if (egress.lock_allowlist && !egress.lock_allowlist->value) {
    return fail(ErrorKind::usage,
                fmt::format("{}: mode {} locks the allowlist, but {} says not", egress.mode->place, written,
                            egress.lock_allowlist->place),
                "use mode mitm, or leave the lock out");
  }
  egress.lock_allowlist = Declared<bool>{true, egress.mode->place};
  return {};
}

}  // namespace

void add_egress_flags(CLI::App& command, EgressOptions& options) {
  command
      .add_option("--egress", options.mode,
                  "broker (default): the public internet, TLS left alone; mitm: TLS intercepted; off: nothing judged")
      ->type_name("MODE");
  add_list(command, "--egress-allow", options.allow,
           "allow, inside too: HOST, .SUFFIX, *.PARENT, ADDRESS or CIDR, each with optional :PORT; may be repeated, or "
           "hold several with commas")
      ->type_name("RULE");
  add_list(command, "--egress-deny", options.deny, "deny, whatever allows it; may be repeated")->type_name("RULE");
  add_list(command, "--egress-passthrough", options.passthrough, "allow, and never intercept; may be repeated")
      ->type_name("RULE");
  command
      .add_option("--egress-policy", options.policy_file, "a policy, .yaml, .yml or .json; flags and spec win over it")
      ->type_name("FILE");
  command.add_flag("--egress-lock-allowlist", options.lock_allowlist, "only what is listed may be reached");
  command.add_flag("--observe", options.observe, "record what a locked allowlist would deny, and deny nothing");
  add_list(command, "--egress-trust", options.trust,
           "believe servers that these certificates vouch for too; a PEM file, may be repeated")
      ->type_name("FILE");
  command.add_option("--egress-max-total-bytes", options.max_total_bytes, "bytes both ways, such as 50GiB; 0: no cap")
      ->type_name("BYTES");
  command
      .add_option("--egress-max-bytes-per-second", options.max_bytes_per_second,
                  "the whole workspace's rate; 0: no cap")
      ->type_name("BYTES");
  command.add_option("--egress-max-conns", options.max_connections, "connections at once; 0: no cap")
      ->type_name("COUNT");
}

Result<EgressDeclaration> read_egress_flags(const EgressOptions& options) {
  EgressDeclaration flags;
  if (options.mode) flags.mode = Declared<std::string>{*options.mode, "--egress"};
  read_switch(options.lock_allowlist, "--egress-lock-allowlist", flags.lock_allowlist);
  read_switch(options.observe, "--observe", flags.observe);
  read_rules(options.allow, "--egress-allow", flags.allow);
  read_rules(options.deny, "--egress-deny", flags.deny);
  read_rules(options.passthrough, "--egress-passthrough", flags.passthrough);
  for (const std::string& file : options.trust) flags.trust.push_back({file, "--egress-trust"});
  workspace::anchor_trust(flags, {});
  Status read =
      read_cap(options.max_total_bytes, "--egress-max-total-bytes", workspace::parse_byte_cap, flags.max_total_bytes);
  if (read) {
    read = read_cap(options.max_bytes_per_second, "--egress-max-bytes-per-second", workspace::parse_byte_cap,
                    flags.max_bytes_per_second);
  }
  if (read) {
    read =
        read_cap(options.max_connections, "--egress-max-conns", workspace::parse_connection_cap, flags.max_connections);
  }
  if (!read) return fail(read.error());
  return flags;
}

Result<EgressDeclaration> settle_egress(const EgressOptions& options, EgressDeclaration declared) {
  if (options.policy_file) {
    auto file = workspace::load_policy_file(*options.policy_file);
    if (!file) return fail(with_context(file.error(), "--egress-policy"));
    declared = workspace::unite(std::move(declared), std::move(*file));
  }
  if (Status settled = settle_mode(declared); !settled) return fail(settled.error());
  if (Status trusted = check_trust(declared); !trusted) return fail(trusted.error());
  if (options.policy_file && declared.mode && declared.mode->value == "off") {
    return fail(ErrorKind::usage, fmt::format("--egress-policy: mode off ({}) has no policy", declared.mode->place),
                "use mode broker or mitm, or leave the policy out");
  }
  return declared;
}

Status check_egress(const workspace::Egress& egress) {
  const auto text = policy::policy_from_json(workspace::to_json(egress), "egress");
  if (!text) return fail(text.error());
  const auto policy = policy::Policy::compile(*text);
  if (!policy) return fail(policy.error());
  return {};
}

std::string egress_warning(const workspace::Egress& egress) {
  if (egress.mode != "off") return {};
  return "egress mode off: nothing that the guest sends is judged or denied, but for the host's loopback";
}

}  // namespace microagent::cli

#pragma once

// What the supervisor tells the mediator at its start: a JSON object in a sealed memfd.
//   {"workspace":NAME,"mode":"user"|"isolated","auditFile":PATH,
//    "egress":POLICY,                      (policy/policy_json.h)
//    "network":{"ip":CIDR,"subnet":CIDR,"gateway":ADDRESS,"dns":[ADDRESS...]},
//    "resultFile":PATH,                    (absent where the guest's result is not to be kept)
//    "mediation":{...}}                    (mediation_channel.h; absent where no channel is declared)
// `dns` holds the declared resolvers and is empty where none were declared. `network` may be absent when isolated.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mediator/mediation_channel.h"
#include "policy/decision.h"

namespace microagent::mediator {

struct Network {
  policy::Cidr subnet;
  policy::Address gateway;
  std::vector<policy::Address> declared_dns;
};

struct Config {
  std::string workspace;
  std::filesystem::path audit_file;
  policy::PolicyText egress;  // as written, and
  policy::Policy policy;      // as used
  std::optional<Network> network;  // nothing: isolated
  std::optional<MediationConfig> mediation;
  std::filesystem::path result_file;  // empty: the guest's result is not kept
};

// Strict: a missing or unknown key, a wrong type or an unknown mode is an error that names the key.
Result<Config> parse_config(std::string_view json);
// Reads the whole file behind `fd`, wherever its offset stands.
Result<Config> read_config(int fd);

}  // namespace microagent::mediator

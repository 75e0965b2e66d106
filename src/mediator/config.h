#pragma once

// What the supervisor tells the mediator at its start: a JSON object in a sealed memfd.
//   {"workspace":NAME,"mode":"user"|"isolated","auditFile":PATH,
//    "egress":POLICY,                      (policy/policy_json.h)
//    "network":{"ip":CIDR,"subnet":CIDR,"gateway":ADDRESS,"dns":[ADDRESS...]},
//    "resultFile":PATH,                    (absent where the guest's result is not to be kept)
//    "trust":[PEM...],                     (certificates trusted beside the host's; absent where there are none)
//    "swaps":[...],                        (policy/swap.h; absent where there are none)
//    "mediation":{...}}                    (mediation_channel.h; absent where no channel is declared)
// `dns` holds the declared resolvers and is empty where none were declared. `network` may be absent when isolated.

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mediator/mediation_channel.h"
#include "policy/address.h"
#include "policy/policy.h"
#include "policy/swap.h"

namespace microagent::mediator {

struct Network {
  policy::Cidr subnet;
  policy::Address gateway;
  std::vector<policy::Address> declared_dns;
};

// How long flows are looked at (story.cc), and where. Not told by the supervisor; tests have less patience.
struct LookTiming {
  // Where what a silent guest may yet say changes nothing, and where it does.
  std::chrono::milliseconds patience{3'000};
  std::chrono::milliseconds silence_limit{300'000};
  // For an HTTP/2 client that may wait for the server's settings before it sends a request.
  std::chrono::milliseconds settings_patience{250};
  // Where one address serves many names, so that a look is worth its while for the record alone.
  std::vector<std::uint16_t> web_ports{80, 443};
};

struct Config {
  std::string workspace;
  std::filesystem::path audit_file;
  policy::PolicyText egress;
  std::optional<Network> network;  // nothing: isolated
  std::optional<MediationConfig> mediation;
  std::filesystem::path result_file;  // empty: the guest's result is not kept
  LookTiming look;
  std::vector<std::string> trust;  // PEM, beside what the host trusts
  policy::SwapSet swaps;
  // After which a request that goes on is written down before its end. Not told by the supervisor, either.
  std::chrono::milliseconds lasting_request{3'000};
};

// Strict: a missing or unknown key, a wrong type or an unknown mode is an error that names the key.
Result<Config> parse_config(std::string_view json);
// Reads the whole file behind `fd`, wherever its offset stands.
Result<Config> read_config(int fd);
// The same for a policy alone, as policy/policy_json.h has it.
Result<policy::PolicyText> read_policy_file(int fd);

}  // namespace microagent::mediator

#pragma once

// The egress part of a spec, and the policy file of --egress-policy, which holds the same keys but `swaps` at its top:
//
//   mode: broker                 # or mitm, off
//   lockAllowlist: true          # only what is listed
//   allow:
//     - api.example.com          # HOST, .SUFFIX, *.PARENT, ADDRESS or CIDR, each with optional :PORT
//     - {host: .example.org, ports: [443, 8000-8010], methods: [GET], paths: [/v1/*], maxBytes: 10MiB}
//     - {cidr: 10.1.0.0/16, ports: 5432, maxConnections: 4}
//   deny: [telemetry.example.com]
//   passthrough: [.pinned.example]
//   maxTotalBytes: 50GiB
//   maxBytesPerSecond: 10MiB
//   maxConnections: 256
//   observe: false
//   trust: [ca/internal.pem]     # whose servers are believed beside the host's; relative to this file
//   swaps: {...}                 # credentials that the guest uses without holding them: workspace/swap_spec.h

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "workspace/declaration.h"
#include "workspace/yaml_reader.h"

namespace microagent::workspace {

// Reads the map into `out`; what is wrong is kept in `yaml`.
void read_egress_map(YamlReader& yaml, const YamlValue& value, EgressDeclaration& out);
// Reads a list of rules behind those that are in `rules`.
void read_egress_rules(YamlReader& yaml, const YamlValue& value, std::vector<EgressRule>& rules);

// By its name .yaml or .yml, or .json, which must be JSON. Unknown keys, wrong types and duplicate keys are errors that
// say FILE:LINE.
Result<EgressDeclaration> load_policy_file(const std::filesystem::path& path);
// `file` is the name in messages, and tells the format.
Result<EgressDeclaration> parse_policy_file(std::string_view text, std::string_view file);

}  // namespace microagent::workspace

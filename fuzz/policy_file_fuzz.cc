// Policy files in both formats. Anything is taken whole or refused with its place.

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "workspace/egress_spec.h"

namespace microagent::workspace {
namespace {

void run(std::string_view text, const char* file) {
  const auto policy = parse_policy_file(text, file);
  if (!policy) {
    MICROAGENT_CHECK(policy.error().message.starts_with(file));
    return;
  }
  Egress egress;
  egress.allow = policy->allow;
  egress.deny = policy->deny;
  egress.passthrough = policy->passthrough;
  // JSON strings are UTF-8, which a YAML scalar need not be.
  const std::string written = to_json(egress).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  MICROAGENT_CHECK(egress_from_json(nlohmann::json::parse(written), "FILE"));
}

}  // namespace
}  // namespace microagent::workspace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  microagent::workspace::run(text, "p.yaml");
  microagent::workspace::run(text, "p.json");
  return 0;
}

#include "cli/boot_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cli/table.h"

namespace microagent::cli {
namespace {

using Stages = std::vector<workspace::BootStage>;

// With the command's own part.
Stages all_stages(const workspace::Runtime& runtime, std::chrono::microseconds whole) {
  Stages stages = runtime.boot;
  const auto add = [](std::uint64_t sum, const workspace::BootStage& stage) { return sum + stage.microseconds; };
  const std::uint64_t told = std::accumulate(stages.begin(), stages.end(), std::uint64_t{0}, add);
  const auto all = static_cast<std::uint64_t>(whole.count());
  stages.insert(stages.begin(), {"the command, and starting the supervisor", all - std::min(all, told)});
  return stages;
}

std::string milliseconds(std::uint64_t microseconds) {
  return fmt::format("{:8.1f} ms", static_cast<double>(microseconds) / 1000);
}

}  // namespace

std::string describe_boot(const Output& out, const workspace::Runtime& runtime, std::chrono::microseconds whole) {
  Table table;
  for (const auto& [name, microseconds] : all_stages(runtime, whole)) table.add({milliseconds(microseconds), name});
  table.add({milliseconds(static_cast<std::uint64_t>(whole.count())), "in all, with " + runtime.acceleration});
  return table.render(out);
}

nlohmann::json boot_record(const workspace::Runtime& runtime, std::chrono::microseconds whole) {
  nlohmann::json record = nlohmann::json::array();
  for (const auto& [name, microseconds] : all_stages(runtime, whole)) {
    record.push_back({{"stage", name}, {"ms", std::round(static_cast<double>(microseconds) / 100) / 10}});
  }
  return record;
}

}  // namespace microagent::cli

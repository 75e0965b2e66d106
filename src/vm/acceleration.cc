#include "vm/acceleration.h"

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>

#include "vm/kvm_trial.h"

namespace microagent::vm {
namespace {

constexpr std::string_view kNode = "/dev/kvm";
constexpr std::chrono::milliseconds kTrialDeadline{1000};

}  // namespace

std::string_view to_string(Accelerator accelerator) { return accelerator == Accelerator::kvm ? "kvm" : "tcg"; }

bool names_virtualization(std::string_view cpuinfo) {
  std::istringstream lines{std::string(cpuinfo)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (word == "vmx" || word == "svm") return true;
    }
  }
  return false;
}

Acceleration probe_acceleration() {
  std::ostringstream cpuinfo;
  cpuinfo << std::ifstream("/proc/cpuinfo").rdbuf();
  if (!names_virtualization(cpuinfo.str())) {
    return {Accelerator::tcg, "the processor offers no hardware virtualisation (no vmx or svm in /proc/cpuinfo)"};
  }
  if (const Status tried = try_kvm(std::string(kNode), kTrialDeadline); !tried) {
    return {Accelerator::tcg, tried.error().message};
  }
  return {Accelerator::kvm, {}};
}

}  // namespace microagent::vm

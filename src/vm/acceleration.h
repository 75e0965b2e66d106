#pragma once

#include <string>
#include <string_view>

namespace microagent::vm {

enum class Accelerator { kvm, tcg };
std::string_view to_string(Accelerator accelerator);

struct Acceleration {
  Accelerator accelerator = Accelerator::tcg;
  std::string reason;  // why not kvm; empty for kvm
};

// Finds out by doing it: kvm only where the processor can, the device opens and a trial guest really runs. Takes at
// most about a second.
Acceleration probe_acceleration();

// Whether the text of /proc/cpuinfo names hardware virtualisation (the flag vmx or svm).
bool names_virtualization(std::string_view cpuinfo);

}  // namespace microagent::vm

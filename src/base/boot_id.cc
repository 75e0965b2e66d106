#include "base/boot_id.h"

#include <fstream>

namespace microagent {

std::string host_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace microagent

#pragma once

#include <filesystem>
#include <vector>

#include "image/guest_files.h"
#include "supervisor/ports.h"
#include "vm/acceleration.h"
#include "workspace/state.h"

namespace microagent::supervisor {

// Everything a start needs from the host, found and taken before any process is started.
struct Provisions {
  image::GuestFiles guest;
  std::filesystem::path qemu, netd, mediator;
  vm::Acceleration acceleration;
  std::vector<BoundPort> ports;
  std::vector<std::string> trust;  // PEM
  std::vector<Fd> volumes;         // held, so that no other workspace has them
};

// `directory` is the workspace's, `program_directory` where our own programs lie. The error is the first thing that is
// wrong; nothing is kept then.
Result<Provisions> prepare(const workspace::Manifest& manifest, const std::filesystem::path& state_root,
                           const std::filesystem::path& directory, const std::filesystem::path& program_directory);

}  // namespace microagent::supervisor

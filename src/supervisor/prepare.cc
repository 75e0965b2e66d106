#include "supervisor/prepare.h"

#include "supervisor/programs.h"
#include "vm/qemu_program.h"

namespace microagent::supervisor {

Result<Provisions> prepare(const workspace::Manifest& manifest, const std::filesystem::path& state_root,
                           const std::filesystem::path& program_directory) {
  auto guest = image::find_guest_files(state_root, program_directory);
  if (!guest) return fail(guest.error());
  auto qemu = vm::find_qemu();
  if (!qemu) return fail(qemu.error());
  auto netd = find_program(program_directory, "microagent-netd");
  if (!netd) return fail(netd.error());
  auto mediator = find_program(program_directory, "microagent-mediator");
  if (!mediator) return fail(mediator.error());
  auto ports = bind_ports(manifest.network.forwards);
  if (!ports) return fail(ports.error());
  return Provisions{std::move(*guest),    std::move(*qemu),           std::move(*netd),
                    std::move(*mediator), vm::probe_acceleration(), std::move(*ports)};
}

}  // namespace microagent::supervisor

#include "supervisor/prepare.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "supervisor/programs.h"
#include "supervisor/trust_file.h"
#include "vm/qemu_program.h"
#include "workspace/volumes.h"

namespace microagent::supervisor {
namespace {

// A guest larger than the host would boot for ever, or end other people's processes.
Status check_memory(unsigned wanted_mib) {
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  const std::uint64_t host_mib = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) >> 20;
  if (wanted_mib < host_mib) return {};
  return fail(ErrorKind::resource_exhausted,
              fmt::format("the workspace has {} MiB of memory, this host {}", wanted_mib, host_mib),
              "declare less with --memory or resources.memory");
}

// As they are now: they may have been renewed since the workspace was created, or be gone.
Result<std::vector<std::string>> read_trust(const std::vector<std::string>& files) {
  std::vector<std::string> texts;
  for (const std::string& file : files) {
    auto text = read_trust_file(file);
    if (!text) return fail(with_context(text.error(), "egress.trust"));
    texts.push_back(std::move(*text));
  }
  return texts;
}

// The root disk and the volumes. A workspace without its disk is one that was tampered with.
Result<std::vector<Fd>> attach_disks(const workspace::Manifest& manifest, const std::filesystem::path& state_root,
                                     const std::filesystem::path& directory) {
  for (const char* file : {workspace::kBaseFile, workspace::kDiskFile}) {
    const auto path = directory / file;
    if (!manifest.image || ::access(path.c_str(), R_OK) == 0) continue;
    return fail(errno_error(errno, fmt::format("cannot use the workspace's disk {}", path.string())));
  }
  std::vector<Fd> held;
  for (const workspace::Volume& volume : manifest.volumes) {
    auto lock = workspace::attach_volume(state_root, volume.name, manifest.name);
    if (!lock) return fail(lock.error());
    held.push_back(std::move(*lock));
  }
  return held;
}

}  // namespace

Result<Provisions> prepare(const workspace::Manifest& manifest, const std::filesystem::path& state_root,
                           const std::filesystem::path& directory, const std::filesystem::path& program_directory) {
  if (Status fits = check_memory(manifest.resources.memory_mib); !fits) return fail(fits.error());
  auto guest = image::find_guest_files(state_root, program_directory);
  if (!guest) return fail(guest.error());
  auto qemu = vm::find_qemu();
  if (!qemu) return fail(qemu.error());
  auto netd = find_program(program_directory, "microagent-netd");
  if (!netd) return fail(netd.error());
  auto mediator = find_program(program_directory, "microagent-mediator");
  if (!mediator) return fail(mediator.error());
  auto trust = read_trust(manifest.egress.trust);
  if (!trust) return fail(trust.error());
  auto volumes = attach_disks(manifest, state_root, directory);
  if (!volumes) return fail(volumes.error());
  auto ports = bind_ports(manifest.network.forwards);
  if (!ports) return fail(ports.error());
  return Provisions{std::move(*guest),        std::move(*qemu),  std::move(*netd),  std::move(*mediator),
                    vm::probe_acceleration(), std::move(*ports), std::move(*trust), std::move(*volumes)};
}

}  // namespace microagent::supervisor

#include "cli/probes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "base/fd.h"
#include "cli/captured_run.h"
#include "cli/host_probes.h"
#include "cli/output.h"
#include "image/cache.h"
#include "image/guest_files.h"
#include "image/tool.h"
#include "supervisor/programs.h"
#include "vm/acceleration.h"
#include "vm/bounded_child.h"
#include "vm/qemu_program.h"
#include "workspace/state.h"

namespace microagent::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kLeastRoom = 64 * kMiB;         // an initial file system and the logs of one workspace
constexpr std::uint64_t kLeastImageRoom = 1024 * kMiB;  // layers and root file system of a small distribution
constexpr std::chrono::seconds kPatience{10};

Check probe_state(const Result<fs::path>& state) {
  constexpr const char* kName = "state directory";
  if (!state) return failed(kName, true, state.error());
  if (const auto store = workspace::Store::open(*state); !store) return failed(kName, true, store.error());
  const fs::path probe = *state / fmt::format("doctor.{}", ::getpid());
  if (Status written = workspace::write_atomically(probe, "probe\n"); !written) {
    return failed(kName, true, written.error());
  }
  ::unlink(probe.c_str());
  return passed(kName, true, fmt::format("{} can be written", state->string()));
}

Check probe_room(const Result<fs::path>& state) {
  constexpr const char* kName = "disk room";
  if (!state) return failed(kName, true, state.error());
  struct statvfs disk {};
  if (::statvfs(state->c_str(), &disk) != 0) {
    return failed(kName, true, errno_error(errno, fmt::format("cannot look at {}", state->string())));
  }
  const std::uint64_t room = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const std::string detail = fmt::format("{} MiB are free at {}", room / kMiB, state->string());
  if (room >= kLeastRoom) return passed(kName, true, detail);
  return failed(kName, true, detail, "free some, or move the state with --state-dir or MICROAGENT_HOME");
}

// Where images are kept once they are pulled, which may be another disk than the state's.
Check probe_image_room() {
  constexpr const char* kName = "image room";
  const auto root = image::cache_root();
  if (!root) return failed(kName, false, root.error());
  fs::path there = *root;
  std::error_code error;
  while (!fs::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  struct statvfs disk {};
  if (::statvfs(there.c_str(), &disk) != 0) {
    return failed(kName, false, errno_error(errno, fmt::format("cannot look at {}", there.string())));
  }
  const std::uint64_t room = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const std::string detail = fmt::format("{} MiB are free for {}", room / kMiB, root->string());
  if (room >= kLeastImageRoom) return passed(kName, false, detail);
  return failed(kName, false, detail,
                "free some (microagent prune --images), or keep images elsewhere: MICROAGENT_CACHE");
}

Check probe_programs() {
  constexpr const char* kName = "programs";
  const auto directory = supervisor::find_program_directory();
  if (!directory) return failed(kName, true, directory.error());
  for (const char* program : {"microagent-supervisor", "microagent-netd", "microagent-mediator"}) {
    if (const auto found = supervisor::find_program(*directory, program); !found) {
      return failed(kName, true, found.error());
    }
  }
  return passed(kName, true, fmt::format("all lie in {}", directory->string()));
}

// Whether QEMU has what our command line asks for, from its own lists.
Check probe_qemu() {
  constexpr const char* kName = "QEMU";
  const auto qemu = vm::find_qemu();
  if (!qemu) return failed(kName, true, qemu.error());
  struct Question {
    std::vector<std::string> arguments;
    std::vector<const char*> answers;
  };
  for (const auto& [arguments, answers] :
       {Question{{"-machine", "help"}, {"microvm"}},
        Question{{"-device", "help"}, {"virtio-net-device", "virtio-blk-device", "vhost-user-vsock-device"}},
        Question{{"-netdev", "help"}, {"vhost-user"}}}) {
    const auto output = run_captured(*qemu, arguments, kPatience);
    if (!output) return failed(kName, true, output.error());
    for (const char* answer : answers) {
      if (output->find(answer) != std::string::npos) continue;
      return failed(kName, true, fmt::format("{} has no {}", qemu->string(), answer),
                    "install a complete QEMU of version 7.2 or later (Debian: apt-get install qemu-system-x86)");
    }
  }
  const auto version = run_captured(*qemu, {"--version"}, kPatience);
  if (!version) return failed(kName, true, version.error());
  return passed(kName, true,
                fmt::format("{} has the microvm machine and our devices: {}", qemu->string(),
                            printable(version->substr(0, version->find('\n')))));
}

Check probe_guest(const Result<fs::path>& state) {
  constexpr const char* kName = "guest image";
  const auto directory = supervisor::find_program_directory();
  if (!state) return failed(kName, true, state.error());
  if (!directory) return failed(kName, true, directory.error());
  const auto files = image::find_guest_files(*state, *directory);
  if (!files) return failed(kName, true, files.error());
  return passed(kName, true, fmt::format("kernel and base image lie in {}", files->kernel.parent_path().string()));
}

// What images are made with; the built-in base needs none of it.
Check probe_images() {
  constexpr const char* kName = "images";
  for (const char* tool : {"skopeo", "mke2fs", "qemu-img"}) {
    if (const auto found = image::find_tool(tool); !found) return failed(kName, false, found.error());
  }
  const char* home = std::getenv("HOME");
  const fs::path own = fs::path(home != nullptr ? home : "/") / ".config/containers/policy.json";
  if (::access(own.c_str(), R_OK) != 0 && ::access("/etc/containers/policy.json", R_OK) != 0) {
    return failed(kName, false, "skopeo has no policy that says whose images are trusted",
                  "install it (Debian: apt-get install golang-github-containers-common), or write " + own.string());
  }
  return passed(kName, false, "skopeo, mke2fs and qemu-img can make them");
}

Check probe_kvm() {
  constexpr const char* kName = "KVM";
  const auto acceleration = vm::probe_acceleration();
  if (acceleration.accelerator == vm::Accelerator::kvm) return passed(kName, false, "a trial guest runs");
  return failed(kName, false, fmt::format("{}; guests are emulated, which is slow", acceleration.reason),
                "use a host with hardware virtualisation, and let this user open /dev/kvm");
}

Check probe_namespaces() {
  constexpr const char* kName = "namespaces";
  const auto error =
      vm::run_bounded(kPatience, [] { return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : errno; });
  if (error && *error == 0) return passed(kName, false, "QEMU gets an empty network namespace");
  const std::string why = !error ? error.error().message : *error ? std::strerror(**error) : "no answer in time";
  return failed(kName, false, fmt::format("no user and network namespace of our own: {}; QEMU keeps the host's", why),
                "allow them: sysctl kernel.unprivileged_userns_clone=1 user.max_net_namespaces=1024, and on Ubuntu "
                "kernel.apparmor_restrict_unprivileged_userns=0");
}

Check probe_ping() {
  constexpr const char* kName = "ping sockets";
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
  if (socket) return passed(kName, false, "guests can ping");
  return failed(kName, false, fmt::format("{}; guests cannot ping", std::strerror(errno)),
                "allow them: sysctl net.ipv4.ping_group_range=\"0 2147483647\"");
}

Check probe_memory_files() {
  constexpr const char* kName = "memory files";
  const Fd file(::memfd_create("doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const bool sealed =
      file && ::ftruncate(file.get(), 4096) == 0 && ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0;
  if (sealed) return passed(kName, true, "memfd_create and seals work");
  return failed(kName, true, fmt::format("memfd_create or seals: {}", std::strerror(errno)),
                "use Linux 5.11 or later, and no sandbox that forbids them");
}

Check probe_seccomp() {
  constexpr const char* kName = "seccomp";
  const std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
    return passed(kName, true, "workers can be confined");
  }
  return failed(kName, true, fmt::format("seccomp filters: {}", std::strerror(errno)),
                "use a kernel with CONFIG_SECCOMP_FILTER");
}

}  // namespace

std::vector<Check> probe_all(const Result<fs::path>& state, const std::vector<workspace::Forward>& ports) {
  return {probe_state(state), probe_room(state),    probe_programs(),   probe_qemu(),  probe_guest(state),
          probe_kernel(),     probe_memory_files(), probe_seccomp(),    probe_kvm(),   probe_namespaces(),
          probe_ping(),       probe_images(),       probe_image_room(), probe_clock(), probe_ports(state, ports)};
}

}  // namespace microagent::cli

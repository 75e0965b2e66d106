#include "init/mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

struct Mount {
  const char* type;
  const char* target;
  unsigned long flags;
  const char* options;
  mode_t mode = 0755;  // of the directory, where it has to be made
};

constexpr unsigned long kHarmless = MS_NOSUID | MS_NODEV;

// In order: some lie in others.
constexpr Mount kMounts[] = {
    {"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
    {"proc", "/proc", kHarmless | MS_NOEXEC, nullptr, 0555},
    {"sysfs", "/sys", kHarmless | MS_NOEXEC, nullptr, 0555},
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"},
    {"tmpfs", "/dev/shm", kHarmless, "mode=1777", 01777},
    {"tmpfs", "/run", kHarmless, "mode=0755"},
    {"tmpfs", "/tmp", kHarmless, "mode=1777", 01777},
    {"cgroup2", "/sys/fs/cgroup", kHarmless | MS_NOEXEC, nullptr},
};

struct Link {
  const char* target;
  const char* path;
};

constexpr Link kLinks[] = {
    {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},  {"/proc/self/fd/1", "/dev/stdout"},
    {"/proc/self/fd/2", "/dev/stderr"}, {"/proc/self/mounts", "/etc/mtab"},
};

Status mount_one(const Mount& mount) {
  if (Status made = make_directory(mount.target, mount.mode); !made) return made;
  if (::mount(mount.type, mount.target, mount.type, mount.flags, mount.options) == 0) return {};
  // The kernel itself has mounted it (CONFIG_DEVTMPFS_MOUNT).
  if (errno == EBUSY) return {};
  return fail_errno(errno, concat("cannot mount ", mount.target));
}

Status link_one(const Link& link) {
  if (::symlink(link.target, link.path) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, concat("cannot make ", link.path));
}

// The kernel gives a PID 1 these descriptors only when its initial file system holds /dev/console.
Status open_console() {
  Fd console(::open("/dev/console", O_RDWR | O_NOCTTY));
  if (!console) return fail_errno(errno, "cannot open the console");
  for (const int place : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (console.get() != place && ::dup2(console.get(), place) < 0) return fail_errno(errno, "cannot use the console");
  }
  if (console.get() <= STDERR_FILENO) (void)console.release();
  return {};
}

}  // namespace

Status mount_file_systems() {
  ::umask(0);
  for (const Mount& mount : kMounts) {
    if (Status mounted = mount_one(mount); !mounted) return mounted;
  }
  for (const Link& link : kLinks) {
    if (Status linked = link_one(link); !linked) return linked;
  }
  ::umask(022);
  return open_console();
}

}  // namespace microagent::init

#include "init/disks.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "base/fd.h"
#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

// Linux, fs/ext4/ext4.h.
constexpr unsigned long kResizeExt4 = _IOW('f', 16, std::uint64_t);
constexpr const char* kNewRoot = "/sysroot";
constexpr std::size_t kMaxSerial = 64;
constexpr const char* kAdopted = "trusted.microagent.adopted";  // of a volume's root

Result<std::string> find_device(const std::string& serial) {
  DIR* devices = ::opendir("/sys/block");
  if (devices == nullptr) return fail_errno(errno, "cannot list /sys/block");
  std::string found;
  while (const dirent* entry = ::readdir(devices)) {
    const auto text = read_file(concat("/sys/block/", entry->d_name, "/serial"), kMaxSerial);
    if (text && text->substr(0, text->find('\n')) == serial) found = concat("/dev/", entry->d_name);
  }
  ::closedir(devices);
  if (!found.empty()) return found;
  return fail(ErrorKind::permanent, concat("there is no disk ", serial));
}

// Where the device has become larger than its file system, which may be in use meanwhile.
Status grow(const std::string& device, const char* mounted_at) {
  const Fd disk(::open(device.c_str(), O_RDONLY | O_CLOEXEC));
  const Fd root(::open(mounted_at, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::uint64_t bytes = 0;
  struct statfs facts {};
  if (!disk || !root || ::ioctl(disk.get(), BLKGETSIZE64, &bytes) != 0 || ::fstatfs(root.get(), &facts) != 0) {
    return fail_errno(errno, concat("cannot look at the disk ", device));
  }
  std::uint64_t blocks = bytes / static_cast<std::uint64_t>(facts.f_bsize);
  if (::ioctl(root.get(), kResizeExt4, &blocks) == 0) return {};
  return fail_errno(errno, concat("cannot grow the file system of ", device));
}

Status mount_disk(const std::string& serial, const char* path) {
  const auto device = find_device(serial);
  if (!device) return fail(device.error());
  if (::mount(device->c_str(), path, "ext4", 0, nullptr) != 0) {
    return fail_errno(errno, concat("cannot mount the disk ", serial));
  }
  return grow(*device, path);
}

Status move_mount(const char* path) {
  const std::string target = concat(kNewRoot, path);
  if (Status made = make_directory(target.c_str(), 0755); !made) return made;
  if (::mount(path, target.c_str(), nullptr, MS_MOVE, nullptr) == 0) return {};
  return fail_errno(errno, concat("cannot move ", path));
}

// What modprobe needs, where the image has a place for modules. Images of containers have no modules of their own.
Status lend_modules() {
  utsname system{};
  ::uname(&system);
  const std::string ours = concat("/lib/modules/", system.release), lib = concat(kNewRoot, "/lib");
  // A link that is absolute would lead back into the initial file system.
  struct stat facts {};
  if (::lstat(lib.c_str(), &facts) != 0) return {};
  const std::string place = concat(kNewRoot, S_ISLNK(facts.st_mode) ? "/usr/lib" : "/lib");
  if (!is_directory(place)) return {};
  const std::string modules = concat(place, "/modules"), target = concat(modules, "/", system.release);
  for (const std::string& directory : {modules, target}) {
    if (Status made = make_directory(directory.c_str(), 0755); !made) return made;
  }
  if (::mount(ours.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0) return {};
  return fail_errno(errno, concat("cannot lend ", ours));
}

// A volume that is new belongs to whom the directory under it does, as its users expect of a directory of the image.
// Later its owner and mode are what its users have made of them, which its content says nothing about: so it is marked.
Status adopt_owner(const std::string& path, const struct stat& before) {
  if (::getxattr(path.c_str(), kAdopted, nullptr, 0) >= 0) return {};
  if (errno != ENODATA) return fail_errno(errno, concat("cannot look at ", path));
  if (::chown(path.c_str(), before.st_uid, before.st_gid) == 0 && ::chmod(path.c_str(), before.st_mode & 07777) == 0 &&
      ::setxattr(path.c_str(), kAdopted, "", 0, 0) == 0) {
    return {};
  }
  return fail_errno(errno, concat("cannot give away ", path));
}

Status mount_volume(std::size_t number, const std::string& path) {
  if (Status made = make_directories(path); !made) return made;
  struct stat before {};
  if (::stat(path.c_str(), &before) != 0) return fail_errno(errno, concat("cannot look at ", path));
  if (Status mounted = mount_disk(concat(wire::kVolumeDisk, number), path.c_str()); !mounted) return mounted;
  return adopt_owner(path, before);
}

}  // namespace

Status enter_root_disk() {
  if (Status made = make_directory(kNewRoot, 0755); !made) return made;
  if (Status mounted = mount_disk(wire::kRootDisk, kNewRoot); !mounted) return mounted;
  if (Status lent = lend_modules(); !lent) return lent;
  for (const char* path : {"/dev", "/proc", "/sys"}) {
    if (Status moved = move_mount(path); !moved) return moved;
  }
  if (::chdir(kNewRoot) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 ||
      ::chdir("/") != 0) {
    return fail_errno(errno, "cannot make the disk the root");
  }
  // An image may be nothing but one program.
  for (const char* path : {"/etc", "/run", "/tmp"}) {
    if (is_directory(path)) continue;
    if (Status made = make_directory(path, 0755); !made) return made;
    if (std::string_view(path) == "/tmp" && ::chmod(path, 01777) != 0) return fail_errno(errno, "cannot make /tmp");
  }
  return {};
}

Status mount_volumes(const std::vector<std::string>& paths) {
  std::vector<std::size_t> order(paths.size());
  std::iota(order.begin(), order.end(), 0);
  // What lies in another one comes behind it.
  std::ranges::sort(order, {}, [&](std::size_t number) -> const std::string& { return paths[number]; });
  for (const std::size_t number : order) {
    if (Status mounted = mount_volume(number, paths[number]); !mounted) return mounted;
  }
  return {};
}

void settle_disks(const std::vector<std::string>& volumes) {
  ::sync();
  // What cannot be made read-only is in use by somebody who would not end; its journal has what was synced.
  for (const std::string& path : volumes)
    (void)::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
  (void)::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
}

}  // namespace microagent::init

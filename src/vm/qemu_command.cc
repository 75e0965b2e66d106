#include "vm/qemu_command.h"

#include <fmt/format.h>

namespace microagent::vm {
namespace {

using Arguments = std::vector<std::string>;

void add(Arguments& arguments, std::initializer_list<std::string> words) { arguments.insert(arguments.end(), words); }

void add_machine(Arguments& arguments, const QemuOptions& options) {
  const bool kvm = options.accelerator == Accelerator::kvm;
  add(arguments, {"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"});
  add(arguments, {"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
  add(arguments,
      {"-M", "microvm,acpi=on,x-option-roms=off,rtc=on,mem-merge=off,dump-guest-core=off,memory-backend=mem"});
  add(arguments, {"-object", fmt::format("memory-backend-memfd,id=mem,size={}M,share=on", options.memory_mib)});
  add(arguments, {"-m", fmt::format("{}M", options.memory_mib), "-smp", fmt::format("{}", options.cpus)});
  // The emulator does string instructions element by element, so the kernel must not think that those of single bytes
  // are fast: it would clear and copy memory five times slower.
  add(arguments, {"-accel", kvm ? "kvm" : "tcg", "-cpu", kvm ? "host" : "max,erms=off,fsrm=off"});
}

void add_kernel(Arguments& arguments, const QemuOptions& options) {
  add(arguments, {"-kernel", options.kernel.string(), "-initrd", options.initrd.string()});
  add(arguments, {"-append", options.kernel_arguments});
}

void add_channels(Arguments& arguments, const QemuOptions& options) {
  add(arguments, {"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"});
  add(arguments, {"-chardev", fmt::format("socket,id=qmp,fd={}", options.qmp_fd), "-mon", "chardev=qmp,mode=control"});
}

void add_devices(Arguments& arguments, const QemuOptions& options) {
  add(arguments, {"-chardev", fmt::format("socket,id=vsock,path={}", options.vsock_socket)});
  add(arguments, {"-device", "vhost-user-vsock-device,chardev=vsock"});
  if (!options.net) return;
  add(arguments, {"-chardev", fmt::format("socket,id=net,path={}", options.net->socket)});
  add(arguments, {"-netdev", "vhost-user,id=net,chardev=net"});
  add(arguments,
      {"-device", fmt::format("virtio-net-device,netdev=net,mac={},host_mtu={}", options.net->mac, options.net->mtu)});
}

// QEMU's own lists have commas between their words, and a comma of a path is written twice.
std::string escape(std::string_view path) {
  std::string text;
  for (const char c : path) text.append(c == ',' ? 2 : 1, c);
  return text;
}

// What the guest discards is given back to the host. What the host cannot write is an error for the guest: QEMU would
// otherwise stop the guest when the host's disk is full, and nobody would start it again.
void add_disks(Arguments& arguments, const QemuOptions& options) {
  for (const Disk& disk : options.disks) {
    add(arguments,
        {"-blockdev", fmt::format("driver=file,node-name={0}-file,filename={1},discard=unmap,auto-read-only=off",
                                  disk.serial, escape(disk.file.string()))});
    add(arguments, {"-blockdev", fmt::format("driver={1},node-name={0},file={0}-file,discard=unmap,detect-zeroes=unmap",
                                             disk.serial, disk.format)});
    add(arguments,
        {"-device", fmt::format("virtio-blk-device,drive={0},serial={0},werror=report,rerror=report", disk.serial)});
  }
}

}  // namespace

std::vector<std::string> qemu_arguments(const QemuOptions& options) {
  Arguments arguments;
  add_machine(arguments, options);
  add_kernel(arguments, options);
  add_channels(arguments, options);
  add_disks(arguments, options);
  add_devices(arguments, options);
  return arguments;
}

}  // namespace microagent::vm

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vm/acceleration.h"

namespace microagent::vm {

// The guest's network device; its back end listens on `socket`.
struct NetDevice {
  std::string socket;     // path, short enough for sun_path
  std::string mac;        // 02:xx:xx:xx:xx:xx
  std::uint16_t mtu = 0;  // told to the guest's driver
};

// A disk of the guest's, in a file.
struct Disk {
  std::string serial;  // by which the guest knows it
  std::filesystem::path file;
  std::string format;  // raw or qcow2
};

struct QemuOptions {
  Accelerator accelerator = Accelerator::tcg;
  std::uint32_t memory_mib = 512;
  std::uint32_t cpus = 1;
  std::filesystem::path kernel, initrd;
  std::string kernel_arguments;
  int qmp_fd = -1;               // a connected stream socket
  std::string vsock_socket;      // path, short enough for sun_path
  std::optional<NetDevice> net;  // nothing: the guest has no network device
  std::vector<Disk> disks{};
};

// QEMU's arguments, without the program: the microvm machine, memory shared with the devices' back ends, the serial
// console on standard output, and nothing that was not asked for.
std::vector<std::string> qemu_arguments(const QemuOptions& options);

}  // namespace microagent::vm

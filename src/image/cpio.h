#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace microagent::image {

// One file or directory of an archive, owned by root.
struct CpioEntry {
  std::string path;        // without a leading slash; at most 4095 bytes
  std::uint32_t mode = 0;  // type and permissions as in stat(2): S_IFREG | 0600
  std::string content;     // empty for a directory; less than 4 GiB
};

// An archive in the "newc" format that the kernel unpacks as an initramfs (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst), trailer included. Its length is a multiple of 4.
std::string encode_cpio(std::span<const CpioEntry> entries);

}  // namespace microagent::image

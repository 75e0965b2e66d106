#include "image/cpio.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <iterator>
#include <limits>

#include "base/check.h"

namespace microagent::image {
namespace {

constexpr std::size_t kMaxPath = 4095;  // PATH_MAX without its NUL: what the kernel's unpacker takes

void pad_to_word(std::string& archive) { archive.append((4 - archive.size() % 4) % 4, '\0'); }

// Header: magic, then thirteen numbers of eight hexadecimal digits: inode, mode, uid, gid, links, time, content size,
// device (major, minor), represented device (major, minor), size of the name with its NUL, checksum (unused in newc).
void append(std::string& archive, std::uint32_t inode, const CpioEntry& entry) {
  MICROAGENT_CHECK(entry.path.size() <= kMaxPath);
  MICROAGENT_CHECK(entry.content.size() <= std::numeric_limits<std::uint32_t>::max());
  const unsigned links = S_ISDIR(entry.mode) ? 2 : 1;
  fmt::format_to(std::back_inserter(archive),
                 "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", inode,
                 entry.mode, 0, 0, links, 0, entry.content.size(), 0, 0, 0, 0, entry.path.size() + 1, 0);
  archive.append(entry.path).push_back('\0');
  pad_to_word(archive);
  archive.append(entry.content);
  pad_to_word(archive);
}

}  // namespace

std::string encode_cpio(std::span<const CpioEntry> entries) {
  std::string archive;
  std::uint32_t inode = 1;
  for (const CpioEntry& entry : entries) append(archive, inode++, entry);
  append(archive, 0, {"TRAILER!!!", 0, {}});
  return archive;
}

}  // namespace microagent::image

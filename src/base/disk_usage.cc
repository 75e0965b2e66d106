#include "base/disk_usage.h"

#include <sys/stat.h>

#include <system_error>

namespace microagent {
namespace {

constexpr std::uint64_t kBlock = 512;  // stat(2): the unit of st_blocks, whatever the file system's

std::uint64_t own_usage(const std::filesystem::path& path) {
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) return 0;
  if (!S_ISDIR(facts.st_mode) && facts.st_nlink > 1) return 0;
  return static_cast<std::uint64_t>(facts.st_blocks) * kBlock;
}

}  // namespace

std::uint64_t disk_usage(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  std::uint64_t bytes = own_usage(directory);
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    bytes += own_usage(entry->path());
  }
  return bytes;
}

}  // namespace microagent

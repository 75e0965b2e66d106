#include "image/guest_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

// The first of the two files that is not there.
std::optional<fs::path> missing_of(const GuestFiles& files) {
  for (const fs::path& file : {files.kernel, files.initramfs}) {
    if (::access(file.c_str(), F_OK) != 0) return file;
  }
  return std::nullopt;
}

// A file that is there and cannot be used is an error of its own: the next place is no answer to it.
Status check_usable(const GuestFiles& files) {
  for (const fs::path& file : {files.kernel, files.initramfs}) {
    if (::access(file.c_str(), R_OK) != 0) return fail_errno(errno, fmt::format("cannot read {}", file.string()));
    std::error_code error;
    if (!fs::is_regular_file(file, error) || fs::file_size(file, error) == 0 || error) {
      return fail(ErrorKind::permanent, fmt::format("{} is no file with content", file.string()),
                  "remove it and run: make guest");
    }
  }
  return {};
}

}  // namespace

Result<GuestFiles> find_guest_files(const fs::path& state_root, const fs::path& program_directory) {
  const std::array<fs::path, 2> places{state_root / "guest",
                                       program_directory.parent_path() / "share" / "microagent" / "guest"};
  std::string missing;
  for (const fs::path& place : places) {
    GuestFiles files{place / "vmlinuz", place / "initramfs"};
    if (const auto file = missing_of(files)) {
      missing += fmt::format("{}{}", missing.empty() ? "" : " nor ", file->string());
      continue;
    }
    if (Status usable = check_usable(files); !usable) return fail(usable.error());
    return files;
  }
  return fail(ErrorKind::not_found, fmt::format("no guest kernel and base image: there is neither {}", missing),
              fmt::format("run: make guest (or: tools/guest-image {})", places[0].string()));
}

}  // namespace microagent::image

#include "audit/log_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string>
#include <system_error>

namespace microagent::audit {
namespace {

namespace fs = std::filesystem;

fs::path with_suffix(const fs::path& log, std::string_view suffix) {
  return fs::path(log.string() + "." + std::string(suffix));
}

// N of "<log>.N".
std::optional<std::uint64_t> number_in(const std::string& name, const std::string& log) {
  if (!name.starts_with(log + ".")) return std::nullopt;
  const std::string_view digits = std::string_view(name).substr(log.size() + 1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || digits[0] == '0') return std::nullopt;
  return number;
}

// A log that is a link, a device or somebody else's file would let another user read or steer it.
Status check_file(const Fd& file, const std::string& name) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail_errno(errno, fmt::format("cannot examine {}", name));
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) {
    return fail(ErrorKind::permanent, fmt::format("{} is not a regular file of this user", name), "move it away");
  }
  if ((info.st_mode & 0777) != 0600 && ::fchmod(file.get(), 0600) != 0) {
    return fail_errno(errno, fmt::format("cannot make {} private", name));
  }
  return {};
}

}  // namespace

fs::path rotated_file(const fs::path& log, std::uint64_t number) { return with_suffix(log, std::to_string(number)); }
fs::path next_file(const fs::path& log) { return with_suffix(log, "next"); }
fs::path head_file(const fs::path& log) { return with_suffix(log, "head"); }
fs::path torn_file(const fs::path& log) { return with_suffix(log, "torn"); }

Result<std::vector<std::uint64_t>> rotated_numbers(const fs::path& log) {
  std::vector<std::uint64_t> numbers;
  const fs::path directory = log.has_parent_path() ? log.parent_path() : fs::path(".");
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (const auto number = number_in(entry->path().filename().string(), log.filename().string())) {
      numbers.push_back(*number);
    }
  }
  if (error) return fail_errno(error.value(), fmt::format("cannot list {}", directory.string()));
  std::ranges::sort(numbers);
  return numbers;
}

Result<std::vector<fs::path>> log_files(const fs::path& log) {
  const auto numbers = rotated_numbers(log);
  if (!numbers) return fail(numbers.error());
  std::vector<fs::path> files;
  for (const std::uint64_t number : *numbers) files.push_back(rotated_file(log, number));
  const bool renamed = ::access(log.c_str(), F_OK) == 0 || ::access(next_file(log).c_str(), F_OK) != 0;
  files.push_back(renamed ? log : next_file(log));
  return files;
}

Result<Fd> open_private(const fs::path& file, int flags) {
  Fd fd(::open(file.c_str(), flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(errno, fmt::format("cannot open {}", file.string()));
  if (const Status status = check_file(fd, file.string()); !status) return fail(status.error());
  return fd;
}

Status write_all(const Fd& file, std::string_view bytes, const fs::path& name, std::size_t& written) {
  written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(file.get(), bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("cannot write {}", name.string()));
    written += static_cast<std::size_t>(count);
  }
  return {};
}

}  // namespace microagent::audit

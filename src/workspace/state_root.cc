#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "workspace/files.h"
#include "workspace/state.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRemedy = "choose another with --state-dir or MICROAGENT_HOME";

Result<fs::path> absolute(const std::string& text, std::string_view source) {
  if (text.empty()) return fail(ErrorKind::usage, fmt::format("{} names no directory", source), kRemedy);
  std::error_code error;
  fs::path path = fs::absolute(text, error);
  if (error) return fail_errno(error.value(), fmt::format("{}: {}", source, text));
  path = path.lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

// 0700 for every directory that has to be made.
Status make_directories(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path, error)) return {};
  if (path.has_parent_path() && path.parent_path() != path) {
    if (Status parent = make_directories(path.parent_path()); !parent) return parent;
  }
  Status made = make_directory(path);
  // Another command may have been quicker.
  return !made && fs::is_directory(path, error) ? Status{} : made;
}

Status check_root(const fs::path& root) {
  struct stat status {};
  if (::stat(root.c_str(), &status) != 0) return fail_errno(errno, fmt::format("cannot use {}", root.string()));
  if (!S_ISDIR(status.st_mode)) {
    return fail(ErrorKind::permanent, fmt::format("the state directory {} is not a directory", root.string()), kRemedy);
  }
  if (status.st_uid != ::geteuid()) {
    return fail(ErrorKind::permanent, fmt::format("the state directory {} belongs to another user", root.string()),
                kRemedy);
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(ErrorKind::permanent, fmt::format("other users may write to the state directory {}", root.string()),
                fmt::format("chmod 700 {}", root.string()));
  }
  return {};
}

}  // namespace

Result<fs::path> state_root(const std::optional<std::string>& flag) {
  if (flag) return absolute(*flag, "--state-dir");
  if (const char* home = std::getenv("MICROAGENT_HOME"); home != nullptr && *home != '\0') {
    return absolute(home, "MICROAGENT_HOME");
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return absolute(std::string(home) + "/.microagent", "HOME");
  }
  const passwd* user = ::getpwuid(::geteuid());
  if (user == nullptr || user->pw_dir == nullptr || *user->pw_dir == '\0') {
    return fail(ErrorKind::permanent, "this user has no home directory to keep state in", kRemedy);
  }
  return absolute(std::string(user->pw_dir) + "/.microagent", "the home directory");
}

Result<Store> Store::open(fs::path root) {
  if (Status made = make_directories(root); !made) {
    Error error = made.error();
    if (error.remediation.empty()) error.remediation = kRemedy;
    return fail(std::move(error));
  }
  if (Status usable = check_root(root); !usable) return fail(usable.error());
  for (const char* part : {"locks", "workspaces"}) {
    if (Status made = make_directories(root / part); !made) return fail(made.error());
  }
  return Store(std::move(root));
}

}  // namespace microagent::workspace

#include "vm/qemu_program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>

namespace microagent::vm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "qemu-system-x86_64";
constexpr const char* kDefaultSearchPath = "/usr/local/bin:/usr/bin:/bin";

bool runnable(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

std::optional<fs::path> look_up(const std::string& name, const std::string& search_path) {
  std::istringstream directories(search_path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    // An empty entry means the current directory to a shell; to us that is no place to take programs from.
    if (!directory.starts_with('/')) continue;
    if (fs::path candidate = fs::path(directory) / name; runnable(candidate)) return candidate;
  }
  return std::nullopt;
}

}  // namespace

Result<fs::path> find_qemu() { return find_qemu(std::getenv("MICROAGENT_QEMU"), std::getenv("PATH")); }

Result<fs::path> find_qemu(const char* chosen, const char* search_path) {
  const bool choice = chosen != nullptr && *chosen != '\0';
  const std::string name = choice ? chosen : kProgram;
  if (name.find('/') != std::string::npos) {
    if (runnable(name)) return fs::absolute(name);
    return fail(ErrorKind::not_found, fmt::format("MICROAGENT_QEMU names {}, which is no program", name),
                "correct or unset MICROAGENT_QEMU");
  }
  if (auto found = look_up(name, search_path != nullptr ? search_path : kDefaultSearchPath)) return *found;
  return fail(ErrorKind::not_found, fmt::format("{} is not installed: it is nowhere in PATH", name),
              choice ? "correct or unset MICROAGENT_QEMU"
                     : "install it (Debian: apt-get install qemu-system-x86), or set MICROAGENT_QEMU");
}

}  // namespace microagent::vm

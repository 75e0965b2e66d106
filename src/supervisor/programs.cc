#include "supervisor/programs.h"

#include <fmt/format.h>
#include <unistd.h>

namespace microagent::supervisor {

namespace fs = std::filesystem;

Result<fs::path> find_program_directory() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail_errno(error.value(), "cannot read /proc/self/exe: is /proc mounted?");
  return self.parent_path();
}

Result<fs::path> find_program(const fs::path& directory, const char* name) {
  fs::path program = directory / name;
  if (::access(program.c_str(), X_OK) == 0) return program;
  return fail(ErrorKind::not_found, fmt::format("{} is missing or cannot be run", program.string()),
              "install microagent's programs into one directory (make builds them all)");
}

}  // namespace microagent::supervisor

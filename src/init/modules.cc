#include "init/modules.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr const char* kList = "/lib/microagent/modules";
constexpr std::size_t kMaxList = 64 * 1024;

Status load(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, concat("cannot open the kernel module ", path));
  if (::syscall(SYS_finit_module, file.get(), "", 0) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, concat("cannot load the kernel module ", path));
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

}  // namespace

Status load_modules(std::string_view occasion) {
  const auto list = read_file(kList, kMaxList);
  if (!list) return fail(list.error());
  const std::string prefix = concat(occasion, " ");
  for (std::string_view rest = *list; !rest.empty();) {
    const std::string_view line = take_line(rest);
    if (!line.starts_with(prefix)) continue;
    if (Status loaded = load(std::string(line.substr(prefix.size()))); !loaded) return loaded;
  }
  return {};
}

}  // namespace microagent::init

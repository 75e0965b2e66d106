#include "credentials/variables.h"

#include <unistd.h>

#include <cerrno>

namespace microagent::credentials {

void Variables::set(std::string name, Secret value) { values_.insert_or_assign(std::move(name), std::move(value)); }

const Secret* Variables::find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

Result<Variables> Variables::read_from(int fd) {
  const auto malformed = [] { return fail(ErrorKind::permanent, "what should be variables for swaps is none"); };
  Secret buffer(kMaxVariables + 1);
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t count = ::read(fd, buffer.bytes().data() + size, buffer.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot read the variables for swaps");
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > kMaxVariables) return malformed();
  Variables variables;
  std::string_view rest = buffer.view().substr(0, size);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\0');
    if (end == rest.npos) return malformed();
    const std::string_view entry = rest.substr(0, end);
    const std::size_t equals = entry.find('=');
    if (equals == entry.npos || equals == 0) return malformed();
    variables.set(std::string(entry.substr(0, equals)), Secret::of(entry.substr(equals + 1)));
    rest.remove_prefix(end + 1);
  }
  return variables;
}

}  // namespace microagent::credentials

#include "supervisor/swap_variables.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace microagent::supervisor {
namespace {

// What the process that holds credentials takes, and a pipe holds before anybody reads from it.
constexpr std::size_t kMaxText = 60 * 1024;
constexpr int kPipe = 64 * 1024;

}  // namespace

void SwapVariables::add(std::string_view name, std::string_view value) {
  Secret longer(text_.size() + name.size() + value.size() + 2);
  auto out = std::ranges::copy(text_.view(), longer.bytes().begin()).out;
  out = std::ranges::copy(name, out).out;
  *out++ = '=';
  out = std::ranges::copy(value, out).out;
  *out = '\0';
  text_ = std::move(longer);
  names_.emplace_back(name);
}

Result<Fd> SwapVariables::to_pipe() const {
  if (text_.size() > kMaxText) {
    return fail(ErrorKind::permanent,
                fmt::format("the variables that swaps name take {} bytes, more than {}", text_.size(), kMaxText),
                "keep large secrets in files, and refer to them by file:PATH");
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
  Fd reading(ends[0]);
  const Fd writing(ends[1]);
  // A user with many pipes gets small ones (pipe(7)): that is found out here, and not by waiting for a reader.
  static_cast<void>(::fcntl(writing.get(), F_SETPIPE_SZ, kPipe));
  if (::fcntl(writing.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "cannot arrange a pipe");
  for (std::string_view rest = text_.view(); !rest.empty();) {
    const ssize_t written = ::write(writing.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "cannot pass on the variables that swaps name");
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return reading;
}

std::vector<std::string> SwapVariables::other_environment() const {
  std::vector<std::string> others;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    if (std::ranges::find(names_, variable.substr(0, variable.find('='))) == names_.end())
      others.emplace_back(variable);
  }
  return others;
}

}  // namespace microagent::supervisor

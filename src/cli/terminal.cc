#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace microagent::cli {

std::optional<wire::TerminalSize> terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return std::nullopt;
  return wire::TerminalSize{size.ws_row, size.ws_col};
}

Result<RawTerminal> RawTerminal::enter(int fd) {
  if (::isatty(fd) != 1) return RawTerminal(-1);
  RawTerminal terminal(fd);
  if (::tcgetattr(fd, &terminal.before_) != 0) {
    terminal.fd_ = -1;
    return fail_errno(errno, "cannot read the terminal's settings");
  }
  termios raw = terminal.before_;
  ::cfmakeraw(&raw);
  if (::tcsetattr(fd, TCSADRAIN, &raw) != 0) return fail_errno(errno, "cannot change the terminal's settings");
  return terminal;
}

RawTerminal::RawTerminal(RawTerminal&& other) noexcept : fd_(std::exchange(other.fd_, -1)), before_(other.before_) {}

RawTerminal::~RawTerminal() {
  if (fd_ >= 0) ::tcsetattr(fd_, TCSADRAIN, &before_);
}

}  // namespace microagent::cli

#include "init/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

namespace microagent::init {

Result<Terminal> open_terminal(const wire::TerminalSize& size) {
  Fd ours(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!ours) return fail_errno(errno, "cannot make a terminal");
  const int locked = 0;
  if (::ioctl(ours.get(), TIOCSPTLCK, &locked) != 0) return fail_errno(errno, "cannot unlock a terminal");
  // Without a path, so that it does not matter where and how /dev/pts is mounted.
  Fd theirs(::ioctl(ours.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!theirs) return fail_errno(errno, "cannot open a terminal");
  if (size.rows != 0 && size.columns != 0) resize(ours.get(), size);
  return Terminal{std::move(ours), std::move(theirs)};
}

void resize(int terminal, const wire::TerminalSize& size) {
  const winsize window{size.rows, size.columns, 0, 0};
  // A terminal that is going away needs no size.
  (void)::ioctl(terminal, TIOCSWINSZ, &window);
}

void type_end_of_input(int terminal) {
  termios mode{};
  if (::tcgetattr(terminal, &mode) != 0 || (mode.c_lflag & ICANON) == 0) return;
  const cc_t end_of_input = mode.c_cc[VEOF];
  [[maybe_unused]] const auto written = ::write(terminal, &end_of_input, 1);
}

}  // namespace microagent::init

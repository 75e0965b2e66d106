#include "init/signals.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace microagent::init {

Result<Signals> Signals::heed(Loop& loop, std::initializer_list<int> signals, OnSignal on_signal) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno(errno, "cannot block signals");
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno(errno, "cannot watch signals");
  const int number = fd.get();
  const Status watched = loop.watch(number, EPOLLIN, [number, on_signal = std::move(on_signal)](std::uint32_t) {
    signalfd_siginfo info{};
    while (::read(number, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      on_signal(static_cast<int>(info.ssi_signo));
    }
  });
  if (!watched) return fail(watched.error());
  return Signals(std::move(fd));
}

}  // namespace microagent::init

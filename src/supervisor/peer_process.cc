#include "supervisor/peer_process.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace microagent::supervisor {
namespace {

constexpr int kEndMs = 5000;  // what the kernel may take to free a guest's memory

bool is_hung_up(int connection) {
  pollfd polled{connection, POLLRDHUP, 0};
  return ::poll(&polled, 1, 0) > 0 && (polled.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

}  // namespace

Result<Fd> peer_process(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return fail_errno(errno, "cannot tell who is at the other end of a connection");
  }
  // The C library of Debian 12 declares its wrappers as if they were C++.
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!process && errno != ESRCH) return fail_errno(errno, "cannot hold on to a process");
  // Nobody but the peer holds its end: while that stands, the number has been the peer's all the time.
  if (!process || is_hung_up(connection)) return fail(ErrorKind::conflict, "the process has ended");
  return process;
}

Status end_process(const Fd& process) {
  if (::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return fail_errno(errno, "cannot end a process");
  }
  pollfd polled{process.get(), POLLIN, 0};
  int count = 0;
  while ((count = ::poll(&polled, 1, kEndMs)) < 0 && errno == EINTR) {
  }
  if (count > 0) return {};
  return fail(ErrorKind::transient, "a process that is killed does not end", "see what the kernel's log says of it");
}

}  // namespace microagent::supervisor

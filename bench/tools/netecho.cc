// netecho ADDRESS PORT: answers netpipe's `ping` and `connect` from one process that never forks, so that what is
// measured is the way to it and not the server. Runs until it is killed.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <unordered_set>

#include "sockets.h"

namespace {

using namespace netpipe;

// Every connection begins with one letter that says what is wanted, which is not sent back.
std::unordered_set<int> unspoken;

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

void answer(int fd) {
  std::array<char, 4096> bytes;
  const ssize_t count = ::recv(fd, bytes.data(), bytes.size(), 0);
  if (count <= 0) {
    unspoken.erase(fd);
    ::close(fd);
    return;
  }
  const std::size_t letter = unspoken.erase(fd);
  const std::size_t rest = static_cast<std::size_t>(count) - letter;
  if (rest > 0 && ::send(fd, bytes.data() + letter, rest, MSG_NOSIGNAL) < 0) {
    ::close(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: netecho ADDRESS PORT\n");
    return 2;
  }
  const int listener = listen_at(argv[1], static_cast<std::uint16_t>(std::atoi(argv[2])), SOCK_STREAM);
  const int epoll = ::epoll_create1(0);
  watch(epoll, listener);
  std::array<epoll_event, 64> events;
  for (;;) {
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd != listener) {
        answer(fd);
        continue;
      }
      const int connection = ::accept(listener, nullptr, nullptr);
      if (connection < 0) continue;
      unspoken.insert(connection);
      watch(epoll, connection);
    }
  }
}

#include "supervisor/line_reader.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace microagent::supervisor {

LineReader::Outcome LineReader::next(std::string& line) {
  for (;;) {
    if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return Outcome::line;
    }
    if (const Outcome waited = wait(); waited != Outcome::line) return waited;
    Chunk chunk;
    const ssize_t count = receive(chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Outcome::end;
    buffer_.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

// `line` means that there is something to read.
LineReader::Outcome LineReader::wait() const {
  constexpr std::int64_t kLongest = 1'000'000'000;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    std::array<pollfd, 2> wanted{{{fd_.get(), POLLIN, 0}, {interrupt_, POLLIN, 0}}};
    const int ready =
        ::poll(wanted.data(), wanted.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, kLongest)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Outcome::timed_out;
    return wanted[1].revents != 0 ? Outcome::interrupted : Outcome::line;
  }
}

// Only a socket brings descriptors.
ssize_t LineReader::receive(Chunk& chunk) {
  iovec part{chunk.data(), chunk.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  if (count < 0 && errno == ENOTSOCK) return ::read(fd_.get(), chunk.data(), chunk.size());
  if (count < 0) return count;
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    passed_.reset(fd);
  }
  return count;
}

}  // namespace microagent::supervisor

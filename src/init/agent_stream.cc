#include "init/agent_stream.h"

#include <sys/epoll.h>
#include <sys/socket.h>
// After sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace microagent::init {
namespace {

using wire::FrameType;

constexpr std::chrono::milliseconds kFirstPatience{50}, kLastPatience{5'000};

std::vector<std::uint8_t> hello() {
  const le32 version = wire::kAgentVersion;
  return wire::encode_frame(FrameType::hello, bytes_of(version));
}

int take_error(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

Result<Fd> connect_to_host() {
  Fd stream(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!stream) return fail_errno(errno, "cannot make a vsock socket");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = wire::kHostCid;
  address.svm_port = wire::kAgentHostPort;
  if (::connect(stream.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS) {
    return stream;
  }
  return fail_errno(errno, "cannot connect to the host");
}

AgentStream::~AgentStream() {
  loop_.cancel(retry_);
  if (stream_) loop_.forget(stream_.get());
}

void AgentStream::open() {
  auto stream = connect_();
  if (!stream) return lose();
  stream_ = std::move(*stream);
  frames_ = {};
  outgoing_.push_front(hello());
  hellos_ = 1;
  const Status watched =
      loop_.watch(stream_.get(), EPOLLIN | EPOLLOUT, [this](std::uint32_t events) { on_events(events); });
  if (!watched) lose();
}

void AgentStream::send(std::vector<std::uint8_t> frame) {
  // The first may be on its way in part.
  const bool waits = outgoing_.size() > 1 && outgoing_.back() == frame;
  if (!waits) outgoing_.push_back(std::move(frame));
  if (connected_) flush();
}

void AgentStream::finish() {
  finishing_ = true;
  if (connected_) flush();
}

void AgentStream::on_events(std::uint32_t events) {
  if (!connected_) {
    if (take_error(stream_.get()) != 0) return lose();
    if ((events & EPOLLOUT) == 0) return;
    connected_ = true;
    patience_ = kFirstPatience;
  }
  flush();
  if (connected_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void AgentStream::flush() {
  while (!outgoing_.empty()) {
    const auto& frame = outgoing_.front();
    const ssize_t count =
        ::send(stream_.get(), frame.data() + sent_, frame.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (count <= 0) return lose();
    sent_ += static_cast<std::size_t>(count);
    if (sent_ != frame.size()) continue;
    outgoing_.pop_front();
    sent_ = 0;
    hellos_ = 0;
  }
  if (outgoing_.empty() && finishing_) ::shutdown(stream_.get(), SHUT_WR);
  loop_.change(stream_.get(), EPOLLIN | (outgoing_.empty() ? 0U : EPOLLOUT));
}

void AgentStream::receive() {
  std::array<std::uint8_t, 4096> chunk;
  const ssize_t count = ::recv(stream_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return lose();
  frames_.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
  while (const auto frame = frames_.next()) on_frame_(*frame);
  if (frames_.broken()) lose();
}

// The connection is gone, or was refused. What to wait for is the host's recovery, of which nothing here tells.
void AgentStream::lose() {
  if (stream_) loop_.forget(stream_.get());
  stream_.reset();
  connected_ = false;
  if (hellos_ != 0) outgoing_.pop_front();
  hellos_ = 0;
  sent_ = 0;
  finished_ = finishing_ && outgoing_.empty();
  if (finished_) return;
  patience_ = std::clamp(patience_, kFirstPatience, kLastPatience);
  retry_ = loop_.after(patience_, [this] { open(); });
  patience_ *= 2;
}

}  // namespace microagent::init

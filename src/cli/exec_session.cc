#include "cli/exec_session.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

namespace microagent::cli {
namespace {

using wire::FrameType;

constexpr std::size_t kChunk = 32 * 1024;
constexpr std::size_t kMaxOutgoing = 256 * 1024;  // input waiting for the guest; more is not read
constexpr int kMaxSignals = 3;

// Turns the signals into something to poll, for as long as it lives.
class SignalWatch {
 public:
  SignalWatch() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, &before_);
    fd_ = Fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~SignalWatch() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  int fd() const { return fd_.get(); }
  std::optional<int> take() const {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
  }

 private:
  sigset_t before_{};
  Fd fd_;
};

class Session {
 public:
  Session(Fd stream, int input, const ExecSink& sink) : stream_(std::move(stream)), input_(input), sink_(sink) {}

  Result<ExecEnd> run(const std::vector<std::uint8_t>& request) {
    queue(FrameType::exec, request);
    while (!end_) {
      if (Status step = wait(); !step) return fail(step.error());
    }
    return *end_;
  }

 private:
  Status wait() {
    const bool hungry = input_open_ && outgoing_.size() < kMaxOutgoing;
    const short towards_guest = outgoing_.empty() ? 0 : POLLOUT;
    std::array<pollfd, 3> polled{{{stream_.get(), static_cast<short>(POLLIN | towards_guest), 0},
                                  {signals_.fd(), POLLIN, 0},
                                  {hungry ? input_ : -1, POLLIN, 0}}};
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) return {};
      return fail_errno(errno, "cannot wait for the guest");
    }
    if (polled[1].revents != 0) on_signal();
    if (polled[2].revents != 0) on_input();
    if ((polled[0].revents & POLLOUT) != 0) send();
    if ((polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) return on_frames();
    return {};
  }

  void queue(FrameType type, ByteView payload) {
    const auto frame = wire::encode_frame(type, payload);
    outgoing_.insert(outgoing_.end(), frame.begin(), frame.end());
  }

  void on_signal() {
    const auto signal = signals_.take();
    if (!signal) return;
    const le32 number = static_cast<std::uint32_t>(*signal);
    queue(FrameType::signal, bytes_of(number));
    if (++signal_count_ == kMaxSignals) end_ = ExecEnd{128 + *signal, {}};
  }

  void on_input() {
    std::array<std::uint8_t, kChunk> chunk;
    const ssize_t count = ::read(input_, chunk.data(), chunk.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count > 0) return queue(FrameType::input, ByteView(chunk).first(static_cast<std::size_t>(count)));
    // An input that cannot be read has nothing more to say.
    input_open_ = false;
    queue(FrameType::input_end, ByteView());
  }

  void send() {
    const ssize_t count = ::send(stream_.get(), outgoing_.data(), outgoing_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) outgoing_.erase(outgoing_.begin(), outgoing_.begin() + count);
    if (count >= 0 || errno == EAGAIN || errno == EINTR) return;
    // The guest listens no more; what it still has to say is on its way.
    outgoing_.clear();
    input_open_ = false;
  }

  Status on_frames() {
    std::array<std::uint8_t, kChunk> chunk;
    const ssize_t count = ::recv(stream_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (count <= 0) {
      return fail(ErrorKind::permanent, "the connection to the guest ended before its command did",
                  "see `microagent status`; the workspace may have ended");
    }
    frames_.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
    while (const auto frame = frames_.next()) {
      if (Status taken = on_frame(*frame); !taken || end_) return taken;
    }
    if (frames_.broken()) return nonsense();
    return {};
  }

  Status on_frame(const wire::FrameReader::Frame& frame) {
    switch (frame.type) {
      case FrameType::output:
      case FrameType::error_output: return sink_(frame.type, frame.payload);
      case FrameType::exited: return on_end(frame.payload, {});
      case FrameType::exec_failed: return on_end(frame.payload, frame.payload);
      default: return nonsense();
    }
  }

  // `with_text` holds the reason behind the status, for a command that did not begin.
  Status on_end(ByteView payload, ByteView with_text) {
    const std::size_t size = sizeof(wire::ExitStatus);
    if (payload.size() < size) return nonsense();
    const auto status = wire::parse_exit_status(payload.first(size));
    if (!status) return nonsense();
    const std::uint32_t signal = status->signal, code = status->code;
    end_ = ExecEnd{static_cast<int>(signal != 0 ? 128 + (signal & 127) : code & 255), {}};
    if (with_text.empty()) return {};
    const ByteView text = with_text.subspan(size);
    end_->failure.assign(text.begin(), text.end());
    if (end_->failure.empty()) end_->failure = "the command could not be started";
    return {};
  }

  static Status nonsense() {
    return fail(ErrorKind::permanent, "the guest's exec service says something that is not its protocol");
  }

  Fd stream_;
  int input_;
  const ExecSink& sink_;
  SignalWatch signals_;
  wire::FrameReader frames_;
  std::vector<std::uint8_t> outgoing_;
  std::optional<ExecEnd> end_;
  bool input_open_ = true;
  int signal_count_ = 0;
};

}  // namespace

Result<ExecEnd> run_exec(Fd stream, const wire::ExecRequest& request, int input, const ExecSink& sink) {
  const auto encoded = wire::encode_exec(request);
  if (!encoded) {
    return fail(ErrorKind::usage, "the command with its variables is longer than 64 KiB",
                "pass long input over standard input");
  }
  return Session(std::move(stream), input, sink).run(*encoded);
}

}  // namespace microagent::cli

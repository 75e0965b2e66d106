#include "cli/exec_session.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <limits>

#include "cli/signal_watch.h"
#include "cli/terminal.h"

namespace microagent::cli {
namespace {

using Clock = std::chrono::steady_clock;
using wire::FrameType;

constexpr std::size_t kChunk = 32 * 1024;
constexpr int kMaxSignals = 3;

// A terminal's size is of interest only where the guest has one too.
SignalWatch watch_signals(bool window_changes) {
  if (window_changes) return SignalWatch({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH});
  return SignalWatch(kEndingSignals);
}

class Session {
 public:
  Session(Fd stream, const ExecPlan& plan, ExecSink& sink)
      : stream_(std::move(stream)), plan_(plan), sink_(sink), signals_(watch_signals(plan.terminal >= 0)) {
    if (plan.timeout) deadline_ = Clock::now() + *plan.timeout;
  }

  Result<ExecEnd> run() {
    queue(plan_.kind, plan_.request);
    if (plan_.input == nullptr) end_input();
    while (!end_) {
      if (Status done = step(); !done) return fail(done.error());
    }
    return *end_;
  }

 private:
  // What the guest said is dealt with in order: nothing further is looked at while output waits for its taker.
  Status step() {
    if (!output_.empty()) return pass_on_or_wait();
    if (auto frame = frames_.next()) return on_frame(std::move(*frame));
    if (frames_.broken()) return nonsense();
    return wait(-1);
  }

  Status pass_on_or_wait() {
    const int taker = sink_.descriptor(output_type_);
    return taker < 0 ? pass_on() : wait(taker);
  }

  // Waits for whatever comes first and deals with it. With a `taker` the guest is not listened to.
  Status wait(int taker) {
    const bool hungry = input_open_ && on_their_way_ + kChunk <= wire::kInputWindow;
    const int input = hungry ? plan_.input->descriptor() : -1;
    const bool input_is_there = hungry && input < 0;
    const int wanted = (taker < 0 ? POLLIN : 0) | (outgoing_.empty() ? 0 : POLLOUT);
    // A descriptor of which nothing is wanted would still tell of its hang-up, again and again.
    std::array<pollfd, 4> polled{{{wanted != 0 ? stream_.get() : -1, static_cast<short>(wanted), 0},
                                  {signals_.fd(), POLLIN, 0},
                                  {input, POLLIN, 0},
                                  {taker, POLLOUT, 0}}};
    if (::poll(polled.data(), polled.size(), input_is_there ? 0 : milliseconds_left()) < 0) {
      if (errno == EINTR) return {};
      return fail_errno(errno, "cannot wait for the guest");
    }
    if (deadline_ && Clock::now() >= *deadline_) {
      end_ = ExecEnd{kTimedOut, {}, true};
      return {};
    }
    if (polled[1].revents != 0) on_signal();
    if (polled[2].revents != 0 || input_is_there) {
      if (Status read = on_input(); !read) return read;
    }
    if (polled[3].revents != 0) return pass_on();
    if ((polled[0].revents & POLLOUT) != 0) send();
    if (taker < 0 && (polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) return receive();
    return {};
  }

  int milliseconds_left() const {
    if (!deadline_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
  }

  void queue(FrameType type, ByteView payload) {
    const auto frame = wire::encode_frame(type, payload);
    outgoing_.insert(outgoing_.end(), frame.begin(), frame.end());
  }

  void on_signal() {
    const auto signal = signals_.take();
    if (!signal) return;
    if (*signal == SIGWINCH) {
      if (const auto size = terminal_size(plan_.terminal)) queue(FrameType::resize, bytes_of(*size));
      return;
    }
    const le32 number = static_cast<std::uint32_t>(*signal);
    queue(FrameType::signal, bytes_of(number));
    if (++signal_count_ == kMaxSignals) end_ = ExecEnd{128 + *signal, {}, false};
  }

  Status on_input() {
    std::array<std::uint8_t, kChunk> chunk;
    const auto count = plan_.input->read(chunk);
    if (!count) return fail(count.error());
    if (!*count) return {};
    if (**count == 0) return end_input(), Status();
    on_their_way_ += **count;
    queue(FrameType::input, ByteView(chunk).first(**count));
    return {};
  }

  void end_input() {
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

  Status receive() {
    std::array<std::uint8_t, kChunk> chunk;
    const ssize_t count = ::recv(stream_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (count <= 0) {
      return fail(ErrorKind::permanent, "the connection to the guest ended before its command did",
                  "see `microagent status`; the workspace may have ended");
    }
    frames_.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
    return {};
  }

  Status on_frame(wire::FrameReader::Frame frame) {
    switch (frame.type) {
      case FrameType::output:
      case FrameType::error_output:
        output_type_ = frame.type;
        output_bytes_ = std::move(frame.payload);
        output_ = output_bytes_;
        return {};
      case FrameType::input_taken: return on_input_taken(frame.payload);
      case FrameType::exited: return on_end(frame.payload, {});
      case FrameType::exec_failed: return on_end(frame.payload, frame.payload);
      default: return nonsense();
    }
  }

  Status pass_on() {
    const auto taken = sink_.take(output_type_, output_);
    if (!taken) return fail(taken.error());
    output_ = output_.subspan(*taken);
    return {};
  }

  Status on_input_taken(ByteView payload) {
    const auto count = wire::parse_number(payload);
    if (!count || *count > on_their_way_) return nonsense();
    on_their_way_ -= *count;
    return {};
  }

  // `with_text` holds the reason behind the status, for a command that did not begin.
  Status on_end(ByteView payload, ByteView with_text) {
    const std::size_t size = sizeof(wire::ExitStatus);
    if (payload.size() < size) return nonsense();
    const auto status = wire::parse_exit_status(payload.first(size));
    if (!status) return nonsense();
    const std::uint32_t signal = status->signal, code = status->code;
    end_ = ExecEnd{static_cast<int>(signal != 0 ? 128 + (signal & 127) : code & 255), {}, false};
    if (with_text.empty()) return {};
    const ByteView text = with_text.subspan(size);
    end_->failure.assign(text.begin(), text.end());
    if (end_->failure.empty()) end_->failure = "the command could not be started";
    return {};
  }

  static Status nonsense() {
    return fail(ErrorKind::permanent, "the guest's exec service says something that is not its protocol",
                "stop the workspace: what answers there is not microagent's init");
  }

  Fd stream_;
  const ExecPlan& plan_;
  ExecSink& sink_;
  SignalWatch signals_;
  std::optional<Clock::time_point> deadline_;
  wire::FrameReader frames_;
  std::vector<std::uint8_t> outgoing_;  // bounded by the input window and a few signals
  std::size_t on_their_way_ = 0;        // bytes of input that the command has not read yet
  FrameType output_type_{};
  std::vector<std::uint8_t> output_bytes_;
  ByteView output_;  // what the sink has not taken of output_bytes_
  std::optional<ExecEnd> end_;
  bool input_open_ = true;
  int signal_count_ = 0;
};

}  // namespace

Result<ExecEnd> run_exec(Fd stream, const ExecPlan& plan, ExecSink& sink) {
  return Session(std::move(stream), plan, sink).run();
}

}  // namespace microagent::cli

#include "init/exec_session.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "init/accounts.h"
#include "init/copy_command.h"
#include "init/terminal.h"
#include "init/text.h"
#include "init/trust_java.h"

namespace microagent::init {
namespace {

using wire::FrameType;

constexpr std::size_t kChunk = 32 * 1024;
constexpr std::chrono::seconds kRequestPatience{10};
constexpr std::uint32_t kTellTaken = wire::kInputWindow / 4;  // input taken that is worth a frame
constexpr std::size_t kTerminalBuffer = 128 * 1024;           // more than the kernel keeps for a terminal's reader
constexpr std::uint32_t kCannotRun = 126;

void erase_front(std::vector<std::uint8_t>& bytes, std::size_t count) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

bool would_block(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

ExecSession::ExecSession(const ExecSurroundings& surroundings, Fd stream, OnOver on_over)
    : around_(surroundings), on_over_(std::move(on_over)), stream_(std::move(stream)) {
  request_timer_ = around_.loop.after(kRequestPatience, [this] { break_off(); });
  const Status watched = around_.loop.watch(stream_.get(), EPOLLIN | EPOLLRDHUP, [this](auto e) { on_stream(e); });
  if (!watched) request_timer_ = around_.loop.after({}, [this] { break_off(); });
}

ExecSession::~ExecSession() {
  on_over_ = [] {};
  break_off();
}

void ExecSession::on_stream(std::uint32_t events) {
  // The host is gone, whatever it has sent before.
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) return break_off();
  if ((events & EPOLLOUT) != 0) flush();
  if ((events & EPOLLIN) != 0 && !over_) read_stream();
  arrange();
}

void ExecSession::read_stream() {
  std::array<std::uint8_t, kChunk> chunk;
  const ssize_t count = ::recv(stream_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (count < 0 && would_block(errno)) return;
  if (count <= 0) return break_off();
  frames_.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
  while (!over_ && !last_frame_queued_) {
    const auto frame = frames_.next();
    if (!frame) break;
    if (!on_frame(*frame)) return break_off();
  }
  if (frames_.broken()) break_off();
}

// False when the host breaks the protocol.
bool ExecSession::on_frame(const wire::FrameReader::Frame& frame) {
  if (!begun_) return on_request(frame);
  switch (frame.type) {
    case FrameType::input:
      // What comes for a command that reads no more is as good as read.
      if (!input_) taken_ += static_cast<std::uint32_t>(frame.payload.size());
      else pending_input_.insert(pending_input_.end(), frame.payload.begin(), frame.payload.end());
      return true;
    case FrameType::input_end: on_input_end(); return true;
    case FrameType::signal: return on_signal(frame.payload);
    case FrameType::resize: return on_resize(frame.payload);
    default: return false;
  }
}

bool ExecSession::on_request(const wire::FrameReader::Frame& frame) {
  begun_ = true;
  around_.loop.cancel(request_timer_);
  ProcessSpec spec;
  if (frame.type == FrameType::exec) {
    auto request = wire::parse_exec(frame.payload);
    if (!request) return false;
    spec.argv = std::move(request->argv);
    spec.identity = around_.identity;
    if (!request->user.empty()) {
      auto identity = find_identity(request->user);
      if (!identity) {
        refuse(kCannotRun, concat("there is no user ", request->user, " in the guest"));
        return true;
      }
      spec.identity = std::move(*identity);
    }
    spec.environment = merge(workspace_environment(spec.identity, around_.chosen), request->env);
    if (names_java_store(around_.chosen)) spec.environment = with_java_store(std::move(spec.environment));
    spec.workdir = request->workdir.empty() ? around_.workdir : std::move(request->workdir);
    spec.streams = request->terminal ? Streams::terminal : Streams::pipes;
    spec.size = {request->rows, request->columns};
  } else if (frame.type == FrameType::put || frame.type == FrameType::get) {
    const auto request = wire::parse_copy(frame.payload);
    if (!request) return false;
    spec.body = copy_command(frame.type, *request);
  } else {
    return false;
  }
  begin(std::move(spec));
  return true;
}

bool ExecSession::on_signal(ByteView payload) {
  const auto number = wire::parse_number(payload);
  if (!number || *number == 0 || *number >= NSIG) return false;
  // Before it is the command, the child may have no group yet, and treats signals as init does.
  if (verdict_) early_signals_.set(*number);
  else send_signal(static_cast<int>(*number));
  return true;
}

void ExecSession::send_signal(int number) {
  if (pid_ < 0) return;
  pid_t group = pid_;
  // On a terminal the signal is for whoever works there now.
  if (terminal_ && (::ioctl(output_.fd.get(), TIOCGPGRP, &group) != 0 || group <= 0)) group = pid_;
  ::kill(-group, number);
}

bool ExecSession::on_resize(ByteView payload) {
  const auto size = wire::parse_terminal_size(payload);
  if (!size) return false;
  if (terminal_ && output_.fd) resize(output_.fd.get(), *size);
  return true;
}

void ExecSession::on_input_end() {
  input_ended_ = true;
  write_input();
}

void ExecSession::begin(ProcessSpec spec) {
  spec_ = std::move(spec);
  terminal_ = spec_.streams == Streams::terminal;
  if (terminal_ && value_of(spec_.environment, "TERM").empty()) spec_.environment.emplace_back("TERM=xterm");
  if (const Status begun = begin_process(); !begun) refuse(kCannotRun, begun.error().message);
}

Status ExecSession::begin_process() {
  auto process = start_process(spec_);
  if (!process) return fail(process.error());
  pid_ = process->pid;
  around_.reaper.expect(pid_, [this](wire::ExitStatus status) { on_exit(status); });
  input_ = std::move(process->input);
  output_.fd = std::move(process->output);
  error_output_.fd = std::move(process->error_output);
  verdict_ = std::move(process->verdict);
  return around_.loop.watch(verdict_.get(), EPOLLIN, [this](std::uint32_t) { on_verdict(); });
}

void ExecSession::on_verdict() {
  const auto failure = take_start_failure(verdict_.get(), spec_);
  around_.loop.forget(verdict_.get());
  verdict_.reset();
  if (failure) refuse(failure->code, failure->text);
  for (int number = 1; !failure && number < NSIG; ++number) {
    if (early_signals_.test(static_cast<std::size_t>(number))) send_signal(number);
  }
  arrange();
}

void ExecSession::on_exit(wire::ExitStatus status) {
  pid_ = -1;
  end_ = status;
  for (Source* source : {&output_, &error_output_}) {
    const int capacity = source->fd && !terminal_ ? ::fcntl(source->fd.get(), F_GETPIPE_SZ) : -1;
    source->budget = capacity > 0 ? static_cast<std::size_t>(capacity) : kTerminalBuffer;
  }
  verdict_ ? on_verdict() : arrange();
}

void ExecSession::write_input() {
  if (!input_) return;
  while (!pending_input_.empty()) {
    const ssize_t count = ::write(input_.get(), pending_input_.data(), pending_input_.size());
    if (count < 0 && would_block(errno)) return;
    if (count <= 0) return on_input_gone();
    taken_ += static_cast<std::uint32_t>(count);
    erase_front(pending_input_, static_cast<std::size_t>(count));
  }
  if (!input_ended_) return;
  if (terminal_) type_end_of_input(input_.get());
  on_input_gone();
}

// The command has closed its input, or the host has no more.
void ExecSession::on_input_gone() {
  taken_ += static_cast<std::uint32_t>(pending_input_.size());
  pending_input_.clear();
  if (input_watched_) around_.loop.forget(input_.get());
  input_watched_ = false;
  input_.reset();
}

// Passes one piece of output on.
void ExecSession::take_output(Source& source) {
  std::array<std::uint8_t, kChunk> chunk;
  const std::size_t room = end_ ? std::min(kChunk, source.budget) : kChunk;
  const ssize_t count = room == 0 ? 0 : ::read(source.fd.get(), chunk.data(), room);
  // Nothing more is to come: for a terminal that nobody has open any more the kernel says so by EIO.
  const bool dry = count < 0 && would_block(errno);
  if (dry && !end_) return;
  if (count <= 0) return close_source(source);
  if (end_) source.budget -= static_cast<std::size_t>(count);
  queue(source.type, ByteView(chunk).first(static_cast<std::size_t>(count)));
}

void ExecSession::close_source(Source& source) {
  watch_source(source, false);
  source.fd.reset();
}

// After the command's end: what is already in the pipes, then the end itself.
void ExecSession::drain() {
  for (Source* source : {&output_, &error_output_}) {
    while (source->fd && outgoing_.empty() && !over_) take_output(*source);
  }
  if (output_.fd || error_output_.fd || last_frame_queued_ || over_) return;
  last_frame_queued_ = true;
  queue(FrameType::exited, bytes_of(*end_));
}

void ExecSession::queue(FrameType type, ByteView payload) {
  if (over_) return;
  const auto frame = wire::encode_frame(type, payload);
  outgoing_.insert(outgoing_.end(), frame.begin(), frame.end());
  flush();
}

// The command did not begin; says so as the stream's last word.
void ExecSession::refuse(std::uint32_t code, std::string_view text) {
  constexpr std::size_t kMaxText = 4096;
  const wire::ExitStatus status{code, 0};
  const ByteView head = bytes_of(status);
  std::vector<std::uint8_t> payload(head.begin(), head.end());
  text = text.substr(0, kMaxText);
  payload.insert(payload.end(), text.begin(), text.end());
  last_frame_queued_ = true;
  queue(FrameType::exec_failed, payload);
}

void ExecSession::flush() {
  while (!outgoing_.empty()) {
    const ssize_t count = ::send(stream_.get(), outgoing_.data(), outgoing_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && would_block(errno)) return;
    if (count <= 0) return break_off();
    erase_front(outgoing_, static_cast<std::size_t>(count));
  }
}

// Brings what is done and what is waited for in line with the state. Every event ends here.
void ExecSession::arrange() {
  if (over_) return;
  if (end_ && !last_frame_queued_) drain();
  if (over_) return;
  if (last_frame_queued_ && outgoing_.empty()) return finish();
  write_input();
  if (taken_ >= kTellTaken || (taken_ != 0 && pending_input_.empty() && outgoing_.empty())) {
    const le32 taken = std::exchange(taken_, 0);
    queue(FrameType::input_taken, bytes_of(taken));
    if (over_) return;
  }
  const bool hungry = !last_frame_queued_ && pending_input_.size() < wire::kInputWindow;
  around_.loop.change(stream_.get(), EPOLLRDHUP | (hungry ? EPOLLIN : 0U) | (outgoing_.empty() ? 0U : EPOLLOUT));
  for (Source* source : {&output_, &error_output_}) watch_source(*source, outgoing_.empty() && !last_frame_queued_);
  const bool full = input_ && !pending_input_.empty();
  if (full == input_watched_) return;
  input_watched_ = full;
  if (!full) return around_.loop.forget(input_.get());
  (void)around_.loop.watch(input_.get(), EPOLLOUT, [this](std::uint32_t) { arrange(); });
}

// A source is not merely left alone but forgotten, since its end would be told again and again.
void ExecSession::watch_source(Source& source, bool wanted) {
  if (!source.fd || wanted == source.watched) return;
  source.watched = wanted;
  if (!wanted) return around_.loop.forget(source.fd.get());
  (void)around_.loop.watch(source.fd.get(), EPOLLIN, [this, &source](std::uint32_t) {
    take_output(source);
    arrange();
  });
}

// The host is gone or makes no sense: so goes its command.
void ExecSession::break_off() {
  if (over_) return;
  if (pid_ > 0) kill_session(pid_);
  finish();
}

void ExecSession::finish() {
  over_ = true;
  // A child that could not begin ends by itself, and has told why.
  if (pid_ > 0) around_.reaper.abandon(pid_);
  pid_ = -1;
  around_.loop.cancel(request_timer_);
  for (Fd* fd : {&stream_, &verdict_, &output_.fd, &error_output_.fd, &input_}) {
    if (*fd) around_.loop.forget(fd->get());
    fd->reset();
  }
  on_over_();
}

void ExecSession::hang_up() {
  if (!terminal_ || pid_ < 0) return;
  // The kernel sends SIGHUP when the last descriptor of our side closes.
  on_input_gone();
  close_source(output_);
}

}  // namespace microagent::init

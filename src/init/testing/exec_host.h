#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "init/exec_service.h"
#include "init/signals.h"

namespace microagent::init::testing {

// The guest's side of a test: loop, reaper and exec service as PID 1 has them.
struct ExecGuest {
  ExecGuest()
      : signals(*Signals::heed(loop, {SIGCHLD}, [this](int) { reaper.on_child_signal(); })),
        service({loop, reaper, chosen, identity, workdir}) {
    ::signal(SIGPIPE, SIG_IGN);
  }

  // Lets things happen until the fact holds; false when it does not within 20 s.
  template <typename Fact>
  bool until(Fact fact) {
    bool late = false;
    const Loop::Timer timer = loop.after(std::chrono::seconds(20), [&] { late = true; });
    while (!fact() && !late) loop.step();
    loop.cancel(timer);
    return fact();
  }

  Loop loop = *Loop::make();
  Reaper reaper;
  Signals signals;
  Identity identity;
  std::string workdir = "/";
  Environment chosen{"FROM=workspace"};
  ExecService service;
};

// The host's side of one command.
class ExecHost {
 public:
  explicit ExecHost(ExecGuest& guest) : guest_(guest) {
    std::array<int, 2> ends{};
    MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    stream_.reset(ends[0]);
    guest.service.serve(Fd(ends[1]));
    listen(true);
  }
  ~ExecHost() { close(); }
  ExecHost(const ExecHost&) = delete;
  ExecHost& operator=(const ExecHost&) = delete;

  void close() {
    if (stream_) guest_.loop.forget(stream_.get());
    stream_.reset();
  }

  // Whether what the guest sends is taken.
  void listen(bool wanted) {
    if (!wanted) return guest_.loop.forget(stream_.get());
    MICROAGENT_CHECK(guest_.loop.watch(stream_.get(), EPOLLIN, [this](std::uint32_t) { receive(); }).has_value());
  }

  // Returns when the guest, or the stream's buffer, has taken all of it.
  void send(const std::vector<std::uint8_t>& bytes) {
    std::size_t sent = 0;
    MICROAGENT_CHECK(guest_.until([&] {
      const ByteView rest = ByteView(bytes).subspan(sent);
      const ssize_t count = ::send(stream_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count > 0) sent += static_cast<std::size_t>(count);
      return sent == bytes.size();
    }));
  }
  void say(wire::FrameType type, std::string_view text = {}) { send(wire::encode_frame(type, text)); }
  void exec(const wire::ExecRequest& request) {
    send(wire::encode_frame(wire::FrameType::exec, ByteView(*wire::encode_exec(request))));
  }
  void exec(std::vector<std::string> argv) {
    wire::ExecRequest request;
    request.argv = std::move(argv);
    exec(request);
  }
  void shell(const std::string& script) { exec({"sh", "-c", script}); }
  void signal(std::uint32_t number) { send(wire::encode_frame(wire::FrameType::signal, bytes_of(le32(number)))); }

  // How the command ended: "exit 7", "signal 15", "failed 127 why", "hung up" when the guest ended the stream without a
  // word, "" as long as nothing is known.
  const std::string& ending() const { return ending_; }
  const std::string& wait() {
    guest_.until([this] { return !ending_.empty(); });
    return ending_;
  }
  bool wait_for_output(std::string_view text) {
    return guest_.until([&] { return output.find(text) != std::string::npos; });
  }

  int fd() const { return stream_.get(); }

  std::string output, error_output;
  std::size_t taken = 0;     // input, as told
  std::size_t received = 0;  // output of both kinds
  bool keep = true;          // the output, not only its size

 private:
  void receive() {
    std::array<std::uint8_t, 65536> chunk;
    const ssize_t count = ::recv(stream_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count <= 0) {
      if (ending_.empty()) ending_ = "hung up";
      return close();
    }
    frames_.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
    while (const auto frame = frames_.next()) on_frame(*frame);
  }

  void on_frame(const wire::FrameReader::Frame& frame) {
    MICROAGENT_CHECK(ending_.empty());  // the last frame is the last
    const ByteView payload(frame.payload);
    switch (frame.type) {
      case wire::FrameType::output:
      case wire::FrameType::error_output: {
        received += payload.size();
        std::string& text = frame.type == wire::FrameType::output ? output : error_output;
        if (keep) text.append(payload.begin(), payload.end());
        return;
      }
      case wire::FrameType::input_taken: taken += *wire::parse_number(payload); return;
      case wire::FrameType::exited: {
        const auto status = *wire::parse_exit_status(payload);
        const std::uint32_t code = status.code, number = status.signal;
        ending_ = number != 0 ? "signal " + std::to_string(number) : "exit " + std::to_string(code);
        return;
      }
      case wire::FrameType::exec_failed: {
        const std::uint32_t code = wire::parse_exit_status(payload.first(sizeof(wire::ExitStatus)))->code;
        const ByteView text = payload.subspan(sizeof(wire::ExitStatus));
        ending_ = "failed " + std::to_string(code) + " " + std::string(text.begin(), text.end());
        return;
      }
      default: MICROAGENT_CHECK(false);
    }
  }

  ExecGuest& guest_;
  Fd stream_;
  wire::FrameReader frames_;
  std::string ending_;
};

}  // namespace microagent::init::testing

#pragma once

#include <bitset>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>

#include "init/loop.h"
#include "init/process.h"
#include "init/reaper.h"
#include "wire/agent.h"

namespace microagent::init {

// What sessions need of the rest.
struct ExecSurroundings {
  Loop& loop;
  Reaper& reaper;
  const Environment& chosen;  // the workspace's variables, beside those that are a user's own (init/environment.h)
  const Identity& identity;   // of commands, unless they are our own or ask for another
  const std::string& workdir;
};

// One command of the host's over one stream (wire/agent.h). Bounded: output is read only when the stream has taken what
// was read before, input is taken from the stream only while less than its window waits for the command.
class ExecSession {
 public:
  using OnOver = std::function<void()>;

  // Begins to wait for the request. `on_over` is called once, when the session can be destroyed; not from within the
  // constructor.
  ExecSession(const ExecSurroundings& surroundings, Fd stream, OnOver on_over);
  ~ExecSession();
  ExecSession(const ExecSession&) = delete;
  ExecSession& operator=(const ExecSession&) = delete;

  // The guest shuts down: whoever sits at the terminal is gone.
  void hang_up();

 private:
  // Where output comes from. `budget`: how much may still be read once the command has ended, for whoever it left
  // behind may write for ever.
  struct Source {
    Fd fd;
    wire::FrameType type{};
    std::size_t budget = 0;
    bool watched = false;
  };

  void on_stream(std::uint32_t events);
  void read_stream();
  bool on_frame(const wire::FrameReader::Frame& frame);
  bool on_request(const wire::FrameReader::Frame& frame);
  bool on_signal(ByteView payload);
  void send_signal(int number);
  bool on_resize(ByteView payload);
  void on_input_end();

  void begin(ProcessSpec spec);
  Status begin_process();
  void on_verdict();
  void on_exit(wire::ExitStatus status);

  void write_input();
  void on_input_gone();
  void take_output(Source& source);
  void close_source(Source& source);
  void drain();

  void queue(wire::FrameType type, ByteView payload);
  void refuse(std::uint32_t code, std::string_view text);
  void flush();
  void arrange();
  void watch_source(Source& source, bool wanted);
  void break_off();
  void finish();

  ExecSurroundings around_;
  OnOver on_over_;
  Fd stream_;
  wire::FrameReader frames_;
  std::vector<std::uint8_t> outgoing_;  // for the stream; at most one frame of output and the small ones

  ProcessSpec spec_;
  std::bitset<NSIG> early_signals_;  // that came before the command began; each once, as the kernel keeps them

  pid_t pid_ = -1;      // while the command lives
  bool begun_ = false;  // a request has been taken
  bool terminal_ = false;
  Fd verdict_;
  Source output_{{}, wire::FrameType::output}, error_output_{{}, wire::FrameType::error_output};

  Fd input_;
  std::vector<std::uint8_t> pending_input_;  // for the command
  std::uint32_t taken_ = 0;                  // input that the host has not been told of
  bool input_watched_ = false, input_ended_ = false;

  std::optional<wire::ExitStatus> end_;  // of the command
  bool last_frame_queued_ = false;
  bool over_ = false;
  Loop::Timer request_timer_ = 0;
};

}  // namespace microagent::init

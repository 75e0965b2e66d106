#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "init/loop.h"
#include "wire/agent.h"

namespace microagent::init {

// The guest's line to the host (wire/agent.h). Frames wait until there is a connection; when it breaks, a new one is
// made and what was not sent goes there. Nothing is said twice, and what waits to be said already is not added again: a
// result written over and over does not grow the line.
class AgentStream {
 public:
  // A connecting or connected non-blocking stream socket.
  using Connect = std::function<Result<Fd>()>;
  // What the host says.
  using OnFrame = std::function<void(const wire::FrameReader::Frame&)>;

  AgentStream(Loop& loop, Connect connect, OnFrame on_frame)
      : loop_(loop), connect_(std::move(connect)), on_frame_(std::move(on_frame)) {}
  ~AgentStream();
  AgentStream(const AgentStream&) = delete;
  AgentStream& operator=(const AgentStream&) = delete;

  void open();
  void send(std::vector<std::uint8_t> frame);

  // Says no more. finished() once the host has taken everything, which it tells by ending the stream too.
  void finish();
  bool finished() const { return finished_; }

 private:
  void on_events(std::uint32_t events);
  void flush();
  void receive();
  void lose();

  Loop& loop_;
  Connect connect_;
  OnFrame on_frame_;
  Fd stream_;
  bool connected_ = false, finishing_ = false, finished_ = false;
  wire::FrameReader frames_;
  std::deque<std::vector<std::uint8_t>> outgoing_;  // the first may be sent in part
  std::size_t sent_ = 0;                            // of the first
  std::size_t hellos_ = 0;                          // 1 while the first is this connection's hello
  Loop::Timer retry_ = 0;
  std::chrono::milliseconds patience_{0};
};

// Connects to the host's agent port over vsock.
Result<Fd> connect_to_host();

}  // namespace microagent::init

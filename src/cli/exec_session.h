#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "wire/agent.h"

namespace microagent::cli {

// How a guest's command ended. `failure` says why it did not even begin.
struct ExecEnd {
  int code = 0;  // its exit code, 128 and the signal that ended it, or kTimedOut
  std::string failure;
  bool timed_out = false;
};

inline constexpr int kTimedOut = 124;  // as timeout(1) has it

// Takes the output of the command as it comes.
class ExecSink {
 public:
  virtual ~ExecSink() = default;
  // What must be writable before take(); -1 when there is nothing to wait for.
  virtual int descriptor(wire::FrameType stream) const = 0;
  // Takes some of `bytes`; how many. An error ends the session.
  virtual Result<std::size_t> take(wire::FrameType stream, ByteView bytes) = 0;
};

// Where the command's input comes from.
class ExecSource {
 public:
  virtual ~ExecSource() = default;
  // What must be readable before read(); -1 when there is nothing to wait for.
  virtual int descriptor() const = 0;
  // Fills some of `room`: how many bytes, 0 at the end, nothing when none are there at the moment. An error ends the
  // session.
  virtual Result<std::optional<std::size_t>> read(MutableBytes room) = 0;
};

// What one stream is to do.
struct ExecPlan {
  wire::FrameType kind = wire::FrameType::exec;  // or put or get
  std::vector<std::uint8_t> request;             // the payload of that first frame
  ExecSource* input = nullptr;                   // none: the command finds its input at its end
  int terminal = -1;                             // whose size the guest's terminal is to follow
  std::optional<std::chrono::milliseconds> timeout;
};

// Carries one command over `stream` (wire/agent.h): its input, its output to `sink`, and the signals that this process
// gets for people's sake (INT, TERM, HUP, QUIT) to the command. The third signal ends the session, should the guest not
// care, and so does the timeout; the guest kills the command then.
//
// Whoever does not take the output makes the command wait, whatever its size; nothing is gathered here. Signals and the
// timeout are heeded all the same.
Result<ExecEnd> run_exec(Fd stream, const ExecPlan& plan, ExecSink& sink);

}  // namespace microagent::cli

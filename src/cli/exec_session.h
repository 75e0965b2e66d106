#pragma once

#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "wire/agent.h"

namespace microagent::cli {

// How a guest's command ended. `failure` says why it did not even begin.
struct ExecEnd {
  int code = 0;  // its exit code, or 128 and the signal that ended it
  std::string failure;
};

// Takes the output of the command as it comes. An error ends the session.
using ExecSink = std::function<Status(wire::FrameType stream, ByteView bytes)>;

// Carries one command over `stream` (wire/agent.h): its input from `input`, its output to `sink`, and the signals that
// this process gets for people's sake (INT, TERM, HUP, QUIT) to the command. The third signal ends the session, should
// the guest not care; the guest kills the command then.
Result<ExecEnd> run_exec(Fd stream, const wire::ExecRequest& request, int input, const ExecSink& sink);

}  // namespace microagent::cli

#pragma once

#include <optional>

#include "init/agent_stream.h"
#include "init/exec_service.h"
#include "init/loop.h"
#include "init/reaper.h"
#include "init/result_watch.h"
#include "init/signals.h"
#include "wire/guest_config.h"

namespace microagent::init {

// The guest's life, from the first instruction of PID 1 to the machine's end.
class Guest {
 public:
  explicit Guest(Loop loop) : loop_(std::move(loop)) {}

  // Sets everything up and tells the host that it is ready.
  Status boot();
  // Says why the guest cannot live.
  void report_failure(const Error& error);
  // Until somebody wants the end.
  void live();
  // Ends all processes: first asked, then killed. Then the host is given time to take what it has been told.
  void wind_down();

 private:
  Status prepare();
  Status set_up_network();
  Status serve();
  Status await_trust();
  Status start_workload();
  void on_signal(int signal);
  void on_frame(const wire::FrameReader::Frame& frame);
  void on_trust(ByteView payload);
  void request_shutdown() { shutdown_wanted_ = true; }
  // Lets things happen until it holds, for a limited time.
  template <typename Fact>
  bool run_until(Fact fact, std::chrono::milliseconds limit);

  Loop loop_;
  Reaper reaper_;
  wire::GuestConfig config_;
  Environment environment_;
  std::optional<Signals> signals_;
  std::optional<ResultWatch> result_watch_;
  AgentStream agent_{loop_, connect_to_host, [this](const wire::FrameReader::Frame& frame) { on_frame(frame); }};
  ExecService exec_{{loop_, reaper_, environment_}};
  ProcessSpec workload_;
  Fd workload_verdict_;
  wire::GuestFacts facts_;
  std::optional<wire::Trust> trust_;  // as the host told it last
  bool shutdown_wanted_ = false;
};

}  // namespace microagent::init

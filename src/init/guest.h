#pragma once

#include <chrono>
#include <optional>

#include "init/agent_stream.h"
#include "init/end_plan.h"
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
  // Leaves the disks as they should be.
  void settle() const;
  // Whether another program is process 1, and is about to switch the machine off by itself.
  bool is_being_ended() const { return told_to_go_; }

 private:
  Status load_device_modules();
  Status enter_root();
  Status find_user();
  Status prepare();
  Status set_up_network();
  Status serve();
  Status await_trust();
  Status start_workload();
  void end_workload();
  void wind_down_as_second();
  void on_signal(int signal);
  void on_frame(const wire::FrameReader::Frame& frame);
  void on_trust(ByteView payload);
  void forget_trust();
  void request_shutdown(std::chrono::milliseconds patience);
  void tell_all();
  // Lets things happen until it holds, for a limited time.
  template <typename Fact>
  bool run_until(Fact fact, std::chrono::milliseconds limit);
  // The same, up to a place in the plan of the end, which may be made anew meanwhile.
  template <typename Fact>
  bool run_to(Fact fact, std::chrono::milliseconds EndPlan::*place);

  using Clock = std::chrono::steady_clock;

  Loop loop_;
  Reaper reaper_;
  wire::GuestConfig config_;
  Identity identity_;
  std::string workdir_ = "/";
  Environment chosen_;
  Fd way_;                   // to process 1, where that is to become the image's own init
  bool second_ = false;      // it has
  bool told_to_go_ = false;  // by the image's init: it ends everything
  std::optional<Signals> signals_;
  std::optional<ResultWatch> result_watch_;
  AgentStream agent_{loop_, connect_to_host, [this](const wire::FrameReader::Frame& frame) { on_frame(frame); }};
  ExecService exec_{{loop_, reaper_, chosen_, identity_, workdir_}};
  ProcessSpec workload_;
  Fd workload_verdict_;
  pid_t workload_pid_ = -1;  // while it lives
  wire::GuestFacts facts_;
  std::string roots_;                 // whom a guest trusts that knows nobody by itself, in PEM
  std::optional<wire::Trust> trust_;  // as the host told it last
  bool shutdown_wanted_ = false;
  EndPlan end_{};
  Clock::time_point end_begun_, end_due_;
};

}  // namespace microagent::init

#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "supervisor/boot_clock.h"
#include "supervisor/control_server.h"
#include "supervisor/ending.h"
#include "supervisor/front_ends.h"
#include "supervisor/journal.h"
#include "supervisor/machine.h"
#include "supervisor/mediator_link.h"
#include "supervisor/netd_link.h"
#include "supervisor/prepare.h"
#include "supervisor/publisher.h"
#include "supervisor/report.h"
#include "supervisor/sockets.h"
#include "vm/tsc_meter.h"

namespace microagent::supervisor {

// What the supervisor of one workspace holds before anything is started.
struct Charge {
  workspace::Manifest manifest;
  std::filesystem::path state_root, directory_path, program_directory;
  Fd directory;          // the workspace's, by descriptor
  workspace::Lock lock;  // held for the workspace's whole life
  BoundedLog log;        // our standard error, and the workers'
  std::chrono::seconds ready_timeout;
  Fd variables;  // those of the environment that swaps name (credentials/variables.h); none where no swap does
  Fd leash;      // where one is given, the workspace does not outlive its other end
  bool discard = false;
  std::shared_ptr<const workspace::Runtime> before{};  // of a life for a copy alone: what is to be there again
};

// The life of one workspace: boot, attend to it, end it, leave nothing behind. One coroutine, live(), is the whole
// story; everything else tells it facts.
class Supervisor final : public ControlHandler {
 public:
  // All but `charge` must outlive the supervisor, and `io` must have been run to its end before it goes.
  Supervisor(asio::io_context& io, const workspace::Store& store, Reporter& reporter, Charge charge);

  // Runs until the workspace has ended; the error when it did not even start.
  Status run();

 private:
  // ControlHandler
  asio::awaitable<Status> stop(std::chrono::seconds timeout) override;
  asio::awaitable<Status> kill() override;
  asio::awaitable<void> wait() override;
  asio::awaitable<void> wait_for_end() override;
  Status how_it_ended() const override;
  asio::awaitable<Result<Fd>> open_exec() override;
  asio::awaitable<Result<nlohmann::json>> apply_policy() override;
  asio::awaitable<Result<nlohmann::json>> apply_ports() override;
  asio::awaitable<Result<nlohmann::json>> ask_mediator(nlohmann::json question) override;
  asio::awaitable<Result<nlohmann::json>> usage() override;
  asio::awaitable<Status> note_health(bool healthy, std::string detail) override;
  asio::awaitable<Result<nlohmann::json>> pending_event() override;
  asio::awaitable<Result<nlohmann::json>> quarantine() override;

  asio::awaitable<void> live();
  asio::awaitable<void> heed_signals();
  asio::awaitable<void> heed_leash();
  asio::awaitable<void> expire();
  bool has_disk_news() const;
  void note_disk_errors();
  void tell_disk_errors();
  asio::awaitable<Result<nlohmann::json>> freeze_and_sever();

  // From nothing to a guest that is ready (supervisor_boot.cc).
  asio::awaitable<Status> boot();
  Status provide();
  asio::awaitable<Status> start_workers();
  asio::awaitable<Status> reach_mediation_target();
  asio::awaitable<Status> start_machine();
  asio::awaitable<Result<FrontEnds>> accept_front_ends(FrontEndSockets& sockets);
  asio::awaitable<Status> await_guest();
  Status enter_running();

  // What is published (supervisor_ports.cc).
  Status publish(std::vector<BoundPort> ports);
  Status bind_and_publish(const std::vector<workspace::Forward>& forwards);
  Status replace_ports(const std::vector<workspace::Forward>& old, const std::vector<workspace::Forward>& fresh);
  template <std::predicate Fact>
  asio::awaitable<Status> await(Fact fact, std::chrono::seconds limit, std::string_view what);

  // While it runs, and its end (supervisor.cc, supervisor_end.cc).
  asio::awaitable<Ending> attend();
  asio::awaitable<Ending> shut_down();
  asio::awaitable<Ending> end_guest();
  asio::awaitable<Ending> post_mortem();
  asio::awaitable<void> wind_down();
  asio::awaitable<void> conclude(const Ending& ending);
  void end_copy(const Ending& ending);
  asio::awaitable<Status> await_end();

  void note_facts();
  void note_result(const GuestFacts& facts);
  void note_mediation(const GuestFacts::Finding& mediation);
  void note_trust(const GuestFacts::Finding& trust);
  std::array<std::optional<ChildEnd>, 3> ends() const;
  bool for_a_copy() const { return charge_.before != nullptr; }
  bool all_ended() const;
  bool broken() const;  // something died or failed that should not
  Status check_state() const;
  Status check_running() const;
  bool over() const { return broken() || request_.has_value(); }

  // What was asked for over the control socket or by a signal.
  struct Request {
    bool at_once = false;
    std::chrono::seconds timeout{};  // from the request on
    bool expired = false;            // nobody asked: its time is over
    Deadline deadline = in(timeout);
  };
  void ask(Request request);

  asio::io_context& io_;
  const workspace::Store& store_;
  Reporter& reporter_;
  Charge charge_;
  const bool host_has_ipv6_ = host_has_ipv6();
  Journal journal_;
  Changes changes_;
  std::optional<Request> request_;
  std::chrono::steady_clock::time_point running_since_;
  bool finished_ = false;
  bool leash_lost_ = false;
  bool quarantining_ = false;
  std::optional<Error> start_error_, copy_error_;
  BootClock boot_clock_;
  vm::TscMeter tsc_meter_;
  std::optional<Provisions> provisions_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<Worker> netd_, mediator_;
  std::unique_ptr<Machine> machine_;
  std::uint64_t disk_errors_told_ = 0;
  std::chrono::steady_clock::time_point disk_quiet_until_{};
  std::optional<workspace::Event> untold_;  // of the disk, while there is no room to write it
  std::unique_ptr<NetdLink> netd_link_;
  std::unique_ptr<MediatorLink> mediator_link_;
  std::unique_ptr<Publisher> publisher_;
};

}  // namespace microagent::supervisor

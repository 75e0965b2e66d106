#include "supervisor/supervisor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>

#include "base/log.h"
#include "wire/agent.h"

namespace microagent::supervisor {

using workspace::State;

namespace {

tl::unexpected<Error> fail_for_a_copy(const std::string& name) {
  return fail(ErrorKind::transient, fmt::format("workspace {} is running for another command's copy alone", name),
              "try again");
}

}  // namespace

Supervisor::Supervisor(asio::io_context& io, const workspace::Store& store, Reporter& reporter, Charge charge)
    : io_(io),
      store_(store),
      reporter_(reporter),
      charge_(std::move(charge)),
      journal_(store, charge_.manifest.name),
      changes_(io.get_executor()) {}

Status Supervisor::run() {
  spawn(io_.get_executor(), heed_signals());
  if (charge_.leash) spawn(io_.get_executor(), heed_leash());
  spawn(io_.get_executor(), live());
  io_.run();
  if (start_error_) return fail(*start_error_);
  return {};
}

asio::awaitable<void> Supervisor::live() {
  Status started = co_await boot();
  if (started) started = enter_running();
  Ending ending;
  if (started) {
    ending = co_await attend();
  } else {
    start_error_ = started.error();
    ending = {request_ ? State::stopped : State::failed, started.error().message,
              request_ ? workspace::kReasonRequest : workspace::kReasonFailure};
  }
  co_await wind_down();
  co_await conclude(ending);
  io_.stop();
}

// A machine that shuts down, or a person at a terminal, asks this way.
asio::awaitable<void> Supervisor::heed_signals() {
  asio::signal_set signals(io_, SIGTERM, SIGINT);
  for (;;) {
    const auto [error, number] = co_await signals.async_wait(kAsTuple);
    if (error) co_return;
    log_info("signal {}: stopping", number);
    ask({.timeout = kDefaultStopTimeout});
  }
}

// The command that started us wants no workspace that outlives it, and it is gone: nobody is to be asked any more. One
// that was quarantined meanwhile is kept for whoever did that.
asio::awaitable<void> Supervisor::heed_leash() {
  auto leash = watch(io_.get_executor(), std::move(charge_.leash));
  if (!leash) {
    log_error("cannot heed the leash: {}", leash.error().message);
    co_return;
  }
  co_await wait_readable(*leash, kNever);
  // The command may be gone because its connection to the guest is being severed.
  co_await changes_.until([this] { return !quarantining_; }, kNever);
  if (journal_.record().state == State::quarantined) co_return;
  log_info("the command that started this is gone, or done: ending");
  leash_lost_ = true;
  // Volumes outlive the workspace, and so does what a copy is made for: what the guest wrote has to reach the disk.
  const bool clean = !charge_.manifest.volumes.empty() || for_a_copy();
  ask(clean ? Request{.timeout = kDefaultStopTimeout} : Request{.at_once = true});
}

// Asking for more haste is heard at any time, asking for less is not.
void Supervisor::ask(Request request) {
  const auto is_hastier = [&] {
    if (request.at_once || request_->at_once) return request.at_once && !request_->at_once;
    return request.deadline < request_->deadline;
  };
  if (!request_ || is_hastier()) request_ = request;
  changes_.notify();
}

asio::awaitable<Status> Supervisor::await_end() {
  co_await changes_.until([this] { return finished_; }, kNever);
  co_return Status();
}

// The command that copies ends it by its leash.
asio::awaitable<Status> Supervisor::stop(std::chrono::seconds timeout) {
  if (for_a_copy()) co_return fail_for_a_copy(charge_.manifest.name);
  ask({.timeout = timeout});
  co_return co_await await_end();
}

asio::awaitable<Status> Supervisor::kill() {
  ask({.at_once = true});
  co_return co_await await_end();
}

asio::awaitable<void> Supervisor::wait() {
  // What is told is in the record by then.
  co_await changes_.until([this] { return finished_ || journal_.record().exit_code.has_value(); }, kNever);
}

asio::awaitable<void> Supervisor::wait_for_end() {
  co_await changes_.until([this] { return finished_; }, kNever);
}

Status Supervisor::how_it_ended() const { return copy_error_ ? Status(fail(*copy_error_)) : Status(); }

// What runs for a copy alone does not run for anybody else.
Status Supervisor::check_running() const {
  if (for_a_copy()) return fail_for_a_copy(charge_.manifest.name);
  return check_state();
}

Status Supervisor::check_state() const {
  const State state = journal_.record().state;
  if (state == State::running) return {};
  return fail(ErrorKind::conflict,
              fmt::format("workspace {} is {}, not running", charge_.manifest.name, workspace::to_string(state)),
              state == State::quarantined ? "a quarantined workspace can only be stopped, killed and deleted" : "");
}

asio::awaitable<Result<Fd>> Supervisor::open_exec() {
  if (Status running = check_state(); !running) co_return fail(running.error());
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    co_return fail_errno(errno, "cannot make a socket pair");
  }
  Fd ours(ends[0]), callers(ends[1]);
  flow::Dial dial;
  dial.guest_port = wire::kExecGuestPort;
  dial.protocol = flow::Protocol::vsock;
  if (!co_await netd_link_->dial(dial, std::move(ours))) {
    co_return fail(ErrorKind::transient, "the guest's wire is too busy to begin a command", "try again");
  }
  co_return callers;
}

asio::awaitable<Ending> Supervisor::attend() {
  constexpr std::chrono::seconds kUntilRoom{2};  // nobody tells us when a disk has room again
  std::uint64_t seen = mediator_link_->revision();
  while (!over()) {
    co_await changes_.until([&] { return over() || mediator_link_->revision() != seen || has_disk_news(); },
                            untold_ ? in(kUntilRoom) : kNever);
    seen = mediator_link_->revision();
    note_facts();
    if (has_disk_news()) note_disk_errors();
    else tell_disk_errors();
    if (const Status saved = journal_.save(); !saved) log_error("{}", saved.error().message);
    changes_.notify();
  }
  if (broken()) co_return co_await post_mortem();
  co_return co_await shut_down();
}

// How it ended on request; what happened beside that comes first.
asio::awaitable<Ending> Supervisor::shut_down() {
  const bool quarantined = journal_.record().state == State::quarantined;
  const std::string reason = for_a_copy()        ? workspace::kReasonCopy
                             : request_->expired ? workspace::kReasonExpired
                                                 : workspace::kReasonRequest;
  const std::string why = request_->expired ? "its time to live is over" : "";
  if (const Status entered = journal_.enter(State::stopping, why, reason); !entered) {
    log_error("{}", entered.error().message);
  }
  Ending ending = quarantined ? Ending{State::stopped, "killed while it was quarantined"} : co_await end_guest();
  if (ending.state == State::stopped) ending.reason = reason;
  if (request_->expired) ending.detail = fmt::format("{}: {}", why, ending.detail);
  co_return ending;
}

asio::awaitable<Ending> Supervisor::end_guest() {
  // What was copied may not have reached the disk.
  const State killed = for_a_copy() ? State::failed : State::stopped;
  if (request_->at_once) co_return Ending{killed, "killed on request"};
  // Who is in more of a hurry than whoever asked before asks the guest again.
  for (bool asked = true, again = true; asked && again;) {
    const Request current = *request_;
    asked = mediator_link_->ask_for_shutdown(current.timeout);
    const auto hurry = [&] { return request_->at_once || request_->deadline < current.deadline; };
    if (asked) co_await changes_.until([&] { return broken() || hurry(); }, current.deadline);
    again = hurry() && !broken() && !request_->at_once;
  }
  if (broken()) {
    // A guest that powers itself off when asked is what we wait for.
    Ending ending = co_await post_mortem();
    if (ending.state == State::stopped) ending.detail = "the guest shut down cleanly";
    co_return ending;
  }
  if (request_->at_once) co_return Ending{killed, "killed on request while the guest shut down"};
  co_return Ending{killed,
                   fmt::format("the guest did not shut down within {} s and was killed", request_->timeout.count())};
}

void Supervisor::note_mediation(const GuestFacts::Finding& mediation) {
  const workspace::Signal& known = journal_.record().readiness["mediationReady"];
  if (!known.observed_at.empty() && known.ready == mediation.ready && known.error == mediation.error) return;
  const std::string target = charge_.manifest.mediation ? charge_.manifest.mediation->target : std::string();
  if (mediation.ready) log_info("the mediation target {} can be reached", target);
  else log_warning("the mediation target {} cannot be reached: {}", target, mediation.error);
  journal_.set_signal("mediationReady", mediation.ready, target, mediation.error);
}

void Supervisor::note_trust(const GuestFacts::Finding& trust) {
  const workspace::Signal& known = journal_.record().readiness["trustReady"];
  if (!known.observed_at.empty() && known.ready == trust.ready && known.error == trust.error) return;
  if (!trust.ready) log_warning("the guest does not trust the certificates of intercepted TLS: {}", trust.error);
  journal_.set_signal("trustReady", trust.ready, "", trust.error);
}

// The entrypoint's exit code and what the guest left in its result file, whichever is there.
void Supervisor::note_result(const GuestFacts& facts) {
  std::vector<std::string> parts;
  if (facts.exit_code) parts.push_back(fmt::format("the entrypoint ended with code {}", *facts.exit_code));
  if (facts.result_bytes) parts.push_back(fmt::format("a result of {} bytes", *facts.result_bytes));
  const std::string detail = fmt::format("{}", fmt::join(parts, ", "));
  const workspace::Signal& known = journal_.record().readiness["resultReady"];
  if (known.detail == detail && known.error == facts.result_error) return;
  journal_.set_signal("resultReady", !parts.empty(), detail, facts.result_error);
}

void Supervisor::note_facts() {
  const GuestFacts& facts = mediator_link_->facts();
  workspace::Runtime& record = journal_.record();
  if (facts.ready && !record.readiness["guestReady"].ready) {
    record.network = facts.network;
    // The guest says so when its exec service listens.
    // A guest whose terminals could not be set up does not get so far.
    for (const char* name : {"guestReady", "execReady", "shellReady"}) journal_.set_signal(name, true);
  }
  if (facts.exit_code) record.exit_code = facts.exit_code;
  note_result(facts);
  if (facts.mediation) note_mediation(*facts.mediation);
  if (facts.trust) note_trust(*facts.trust);
}

}  // namespace microagent::supervisor

// microagent supervise

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/clock.h"
#include "cli/health_probe.h"
#include "cli/restart_plan.h"
#include "cli/signal_watch.h"
#include "cli/subject.h"
#include "cli/workspace_watch.h"
#include "supervisor/client.h"
#include "workspace/records.h"

namespace microagent::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using workspace::Health;
using workspace::Runtime;
using Clock = std::chrono::steady_clock;

struct SuperviseOptions {
  std::string name;
  unsigned timeout = kReadySeconds;
};

int milliseconds_until(Clock::time_point time) {
  const auto left = std::chrono::ceil<milliseconds>(time - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 86'400'000));
}

// One life of the workspace, from the guest's readiness to its end.
class Life {
 public:
  Life(const Subject& subject, const SignalWatch& signals)
      : subject_(subject), signals_(signals), check_(first_check()) {}

  // Until it is over; how it ended.
  Result<LifeEnd> attend() {
    for (;;) {
      auto runtime = subject_.store.load_settled_runtime(name());
      if (!runtime) return fail(runtime.error());
      if (!is_alive(runtime->state)) {
        over_ = true;
        return judge(*runtime);
      }
      if (const auto ending = judge_workload(*runtime)) return *ending;
      if (Status waited = wait(*runtime); !waited) return fail(waited.error());
      if (signals_.take()) return LifeEnd{LifeEnd::Kind::asked, "asked to end"};
      if (unhealthy_) return LifeEnd{LifeEnd::Kind::failed, "unhealthy: " + *unhealthy_};
    }
  }

  seconds age() const { return std::chrono::duration_cast<seconds>(Clock::now() - begin_); }
  // Whether it ended by itself. What runs under the name afterwards, if anything, is another life.
  bool is_over() const { return over_; }

 private:
  const std::string& name() const { return subject_.manifest.name; }
  const std::optional<Health>& health() const { return subject_.manifest.upkeep.health; }
  Clock::time_point first_check() const { return health() ? Clock::now() : Clock::time_point::max(); }

  static LifeEnd judge(const Runtime& runtime) {
    const std::string detail =
        fmt::format("{}{}{}", to_string(runtime.state), runtime.detail.empty() ? "" : ": ", printable(runtime.detail));
    const bool asked = runtime.reason == workspace::kReasonRequest || runtime.reason == workspace::kReasonExpired;
    if (asked) return {LifeEnd::Kind::asked, detail};
    return {runtime.reason == workspace::kReasonGuest ? LifeEnd::Kind::done : LifeEnd::Kind::failed, detail};
  }

  // An entrypoint that ends is the end of what it was for; a quarantined guest is nobody's to restart.
  std::optional<LifeEnd> judge_workload(const Runtime& runtime) const {
    if (runtime.state == workspace::State::quarantined) return LifeEnd{LifeEnd::Kind::quarantined, "quarantined"};
    if (!runtime.exit_code) return std::nullopt;
    const bool failed = *runtime.exit_code != 0;
    using Policy = workspace::Restart::Policy;
    const Policy policy = subject_.manifest.upkeep.restart.policy;
    if (policy == Policy::never || (policy == Policy::on_failure && !failed)) return std::nullopt;
    return LifeEnd{failed ? LifeEnd::Kind::failed : LifeEnd::Kind::done,
                   fmt::format("the entrypoint ended with code {}", *runtime.exit_code)};
  }

  // For the first of: a change of the record, the end, a signal, a probe's finding, the time for the next one.
  Status wait(const Runtime& runtime) {
    if (!watch_) {
      auto watch = WorkspaceWatch::open(subject_.store, name());
      if (!watch) return fail(watch.error());
      watch_ = std::move(*watch);
      return {};  // what has changed before is seen at the next look
    }
    const bool checks = runtime.state == workspace::State::running && health().has_value();
    const auto deadline = probe_ ? give_up_ : checks ? check_ : Clock::time_point::max();
    const int limit = deadline == Clock::time_point::max() ? -1 : milliseconds_until(deadline);
    watch_->wait_beside(std::array{signals_.fd(), probe_ ? probe_->fd() : -1}, limit);
    return checks ? check_health() : Status();
  }

  Status check_health() {
    if (probe_ && is_readable(probe_->fd())) return settle(probe_->take());
    if (probe_ && Clock::now() >= give_up_) return settle(HealthProbe::late(*health()));
    if (probe_ || Clock::now() < check_) return {};
    auto probe = HealthProbe::begin(subject_.store, subject_.manifest);
    if (!probe) return fail(probe.error());
    probe_.emplace(std::move(*probe));
    give_up_ = Clock::now() + seconds(health()->timeout);
    return {};
  }

  static bool is_readable(int fd) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, 0) > 0;
  }

  // What a finding means. At first failures do not count, since a guest takes its time to begin.
  Status settle(const Status& found) {
    probe_.reset();
    check_ = Clock::now() + seconds(health()->interval);
    if (found) {
      failures_ = 0;
      was_healthy_ = true;
      tell(true, "");
      return {};
    }
    if (!was_healthy_ && age() < seconds(health()->start_period)) return {};
    if (++failures_ < health()->retries) return {};
    tell(false, found.error().message);
    unhealthy_ = found.error().message;
    if (subject_.manifest.upkeep.restart.policy == workspace::Restart::Policy::never) unhealthy_.reset();
    return {};
  }

  // A workspace that is about to end hears of nothing any more.
  void tell(bool healthy, const std::string& finding) {
    (void)supervisor::tell_health(subject_.store, name(), healthy, finding);
  }

  const Subject& subject_;
  const SignalWatch& signals_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point check_, give_up_ = Clock::time_point::max();
  std::optional<WorkspaceWatch> watch_;
  std::optional<HealthProbe> probe_;
  std::optional<std::string> unhealthy_;
  std::uint32_t failures_ = 0;
  bool was_healthy_ = false, over_ = false;
};

Status tell(const Context& context, const std::string& name, const std::string& what, const nlohmann::json& more) {
  if (!context.out.json()) return context.out.text(fmt::format("{} {}\n", name, what));
  nlohmann::json line = {{"workspace", name}, {"event", what}};
  line.update(more);
  return context.out.line(line);
}

class Keeper {
 public:
  Keeper(const Context& context, const workspace::Store& store, const SuperviseOptions& options)
      : context_(context), store_(store), options_(options) {}

  Result<int> keep() {
    // One that came when nobody supervised, or that was not heeded any more, is none of ours.
    if (Status forgotten = store_.forget_end_request(options_.name); !forgotten) return fail(forgotten.error());
    auto code = attend_lives();
    if (!code && !store_.exists(options_.name)) return tell_done("is deleted");
    if (Status forgotten = store_.forget_end_request(options_.name); code && !forgotten) return fail(forgotten.error());
    return code;
  }

 private:
  static constexpr const char* kAsked = "is asked to end";

  Result<int> attend_lives() {
    for (;;) {
      // Read anew for each life: it may have been changed meanwhile.
      const auto subject = find_subject(context_, options_.name);
      if (!subject) return fail(subject.error());
      seconds age{};
      auto end = live(*subject, age);
      if (!end) return fail(end.error());
      if (end->kind == LifeEnd::Kind::quarantined) return tell_done("is quarantined, and is kept as it is");
      const auto signalled = make_sure_of_end(*subject);
      if (!signalled) return fail(signalled.error());
      if (*signalled) return tell_done(kAsked);
      // Whatever else ended it: who asked for the end was told that it is final.
      const auto requested = store_.end_requested(options_.name);
      if (!requested) return fail(requested.error());
      if (*requested) end->kind = LifeEnd::Kind::asked;
      const NextLife next = plan_.next(subject->manifest.upkeep.restart, *end, age);
      if (Status told = tell_end(*end, next); !told) return fail(told.error());
      if (!next.wanted) return conclude(*end);
      note(*subject, next);
      const auto asked = is_asked_within(*subject, next.pause);
      if (!asked) return fail(asked.error());
      if (*asked) return tell_done(kAsked);
    }
  }

  Result<LifeEnd> live(const Subject& subject, seconds& age) {
    supervisor::Leash leash;
    leash.interrupt = signals_->fd();
    const auto booted = boot(context_, subject, seconds(options_.timeout), &leash);
    if (!booted && signals_->take()) return LifeEnd{LifeEnd::Kind::asked, "asked to end"};
    const auto requested = store_.end_requested(options_.name);
    if (!requested) return fail(requested.error());
    if (!booted && *requested) return LifeEnd{LifeEnd::Kind::asked, booted.error().message};
    // One that runs already is somebody else's; bad words do not get better by trying again.
    if (!booted && (booted.error().kind == ErrorKind::conflict || booted.error().kind == ErrorKind::usage)) {
      return fail(booted.error());
    }
    if (!booted) return LifeEnd{LifeEnd::Kind::failed, "cannot be started: " + booted.error().message};
    if (Status told = tell(context_, options_.name, "is running", {{"state", "running"}}); !told) {
      return fail(told.error());
    }
    Life life(subject, *signals_);
    auto end = life.attend();
    age = life.age();
    if (life.is_over()) return end;
    // One that is quarantined, whatever else has come about meanwhile, is kept for whoever looks into it.
    const auto runtime = subject.store.load_settled_runtime(options_.name);
    if (runtime && runtime->state == workspace::State::quarantined) {
      return LifeEnd{LifeEnd::Kind::quarantined, "quarantined"};
    }
    if (Status ended = finish(subject, end && end->kind == LifeEnd::Kind::asked); !ended) return fail(ended.error());
    return end;
  }

  // Cleanly first; what the leash would do is a kill. That is what a second signal comes to: it has its usual effect
  // on this program from here on.
  Status finish(const Subject& subject, bool signalled) {
    if (signalled) signals_.reset();
    const auto stopped = supervisor::stop(subject.store, options_.name, seconds(kStopSeconds));
    // It may have ended by itself, or be ending: make_sure_of_end() waits for that.
    const bool ends = stopped || stopped.error().kind == ErrorKind::conflict || stopped.error().retryable();
    return ends ? Status() : Status(fail(stopped.error()));
  }

  // A supervisor that was given up may still be at its end. Whether a signal came meanwhile; a second one ends the wait
  // and this program.
  Result<bool> make_sure_of_end(const Subject& subject) {
    auto watch = WorkspaceWatch::open(subject.store, options_.name);
    if (!watch) return fail(watch.error());
    for (bool signalled = false;;) {
      if (signals_ && signals_->take()) {
        signalled = true;
        signals_.reset();
      }
      const auto locked = subject.store.locked(options_.name);
      if (!locked) return fail(locked.error());
      if (!*locked) return signalled;
      watch->wait_beside(std::array{signals_ ? signals_->fd() : -1}, -1);
    }
  }

  Status tell_end(const LifeEnd& end, const NextLife& next) {
    if (end.kind == LifeEnd::Kind::asked) return {};
    if (!next.wanted) return tell(context_, options_.name, "is over: " + end.detail, {{"restart", false}});
    return tell(context_, options_.name,
                fmt::format("ended, {}; the next life begins in {} s", end.detail, next.pause.count()),
                {{"restart", true}, {"pauseSeconds", next.pause.count()}, {"restarts", next.number}});
  }

  // The end of a pause, in the record of a workspace that nobody else writes now.
  Status record_request(const Subject& subject) {
    const auto lock = subject.store.try_lock(options_.name);
    if (!lock) return fail(lock.error());
    auto runtime = subject.store.load_runtime(options_.name);
    if (!runtime) return fail(runtime.error());
    runtime->state = workspace::State::stopped;
    runtime->detail = "asked to end before its next life";
    runtime->reason = workspace::kReasonRequest;
    runtime->observed_at = utc_timestamp();
    const workspace::Event event{runtime->state, runtime->detail, runtime->observed_at, runtime->reason};
    if (Status told = subject.store.append_event(options_.name, event); !told) return told;
    return subject.store.save_runtime(options_.name, *runtime);
  }

  // In the history of the workspace, where nobody else writes now.
  void note(const Subject& subject, const NextLife& next) {
    const auto lock = subject.store.try_lock(options_.name);
    const auto runtime = subject.store.load_runtime(options_.name);
    if (!lock || !runtime) return;
    const Status told = subject.store.append_event(
        options_.name, {runtime->state, fmt::format("restart {} in {} s", next.number, next.pause.count()),
                        utc_timestamp(), workspace::kReasonRestart});
    if (!told) say("microagent: " + told.error().message);
  }

  // Whether a signal, or `stop` and `kill` (lifecycle.cc), ask for the end before the pause is over.
  Result<bool> is_asked_within(const Subject& subject, seconds pause) {
    const auto deadline = Clock::now() + pause;
    auto watch = WorkspaceWatch::open(subject.store, options_.name);
    if (!watch) return fail(watch.error());
    for (;;) {
      if (signals_->take()) return true;
      if (!store_.exists(options_.name)) return fail(ErrorKind::not_found, "the workspace is deleted");
      const auto requested = store_.end_requested(options_.name);
      if (!requested) return fail(requested.error());
      if (*requested) {
        // Whoever holds the lock, to delete the workspace for example, stands in the way of the record only.
        const Status recorded = record_request(subject);
        if (!recorded && recorded.error().kind != ErrorKind::conflict) return fail(recorded.error());
        return true;
      }
      if (Clock::now() >= deadline) return false;
      watch->wait_beside(std::array{signals_->fd()}, milliseconds_until(deadline));
    }
  }

  Result<int> conclude(const LifeEnd& end) {
    if (end.kind == LifeEnd::Kind::asked) return tell_done("is over: " + end.detail);
    return end.kind == LifeEnd::Kind::failed ? 1 : 0;
  }

  Result<int> tell_done(const std::string& what) {
    if (Status told = tell(context_, options_.name, what, {{"restart", false}}); !told) return fail(told.error());
    return 0;
  }

  const Context& context_;
  const workspace::Store& store_;
  const SuperviseOptions& options_;
  std::optional<SignalWatch> signals_{std::in_place, kEndingSignals};  // until one has come, and is heeded
  RestartPlan plan_;
};

Result<int> supervise(const Context& context, const SuperviseOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(options.name); !manifest) return fail(manifest.error());
  const auto lock = store->lock_supervision(options.name);
  if (!lock) return fail(lock.error());
  return Keeper(context, *store, options).keep();
}

}  // namespace

void add_supervise(Commands& commands) {
  auto [command, options] =
      commands.add<SuperviseOptions>("supervise", "Start a workspace, watch over it, and start it again", supervise);
  require_name(*command, options->name);
  command->add_option("--timeout", options->timeout, "seconds the guest may take to become ready, at each start")
      ->check(CLI::Range(1U, kMaxSeconds))
      ->capture_default_str();
  command->footer(
      "Stays in the foreground, for a service manager or a terminal, and the workspace ends with it: cleanly on "
      "SIGTERM\n"
      "and Ctrl-C. What happens at the workspace's end says its restart policy (create --restart): a failure is a "
      "crash,\n"
      "a start that fails, an entrypoint that ends with another code than 0, and health checks that fail; with always\n"
      "every end counts. An end on request, by `stop`, `kill` or its time to live, is final. A workspace that is\n"
      "quarantined is left as it is, and so is its guest. Before the next life it waits 1 s, each time twice as long,\n"
      "at most 60 s; a life of ten minutes begins a new count. A second signal ends this command at once: the guest "
      "is\n"
      "killed then, or shut down cleanly within 10 s where it has volumes. Exit code 0 after an end on request, a\n"
      "quarantine or `delete --force`, 1 when it gives up.");
}

}  // namespace microagent::cli

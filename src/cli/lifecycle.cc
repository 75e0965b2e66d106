// microagent start, restart, stop, kill, delete

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include "cli/boot_table.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/progress.h"
#include "cli/subject.h"
#include "cli/wait.h"
#include "cli/workspace_watch.h"
#include "supervisor/client.h"
#include "workspace/records.h"

namespace microagent::cli {
namespace {

using workspace::Manifest;
using workspace::Runtime;
using workspace::Store;

struct StartOptions {
  std::string name;
  unsigned timeout = kReadySeconds;
  bool wait = false, reset_caps = false, timings = false;
  std::optional<unsigned> wait_timeout;
};

struct RestartOptions {
  std::string name;
  unsigned timeout = kReadySeconds, stop_timeout = kStopSeconds;
};

struct StopOptions {
  std::string name;
  unsigned timeout = kStopSeconds;
};

struct KillOptions {
  std::string name;
};

struct DeleteOptions {
  std::string name;
  bool force = false;
};

Status tell(const Context& context, const Manifest& manifest, const Runtime& runtime) {
  if (context.out.json()) return context.out.record(workspace::status_record(manifest, runtime));
  return context.out.text(
      fmt::format("{} is {}\n{}", manifest.name, to_string(runtime.state), describe_ports(runtime)));
}

Result<int> finish(const Context& context, const Subject& subject, const Result<Runtime>& runtime) {
  if (!runtime) return fail(runtime.error());
  if (Status told = tell(context, subject.manifest, *runtime); !told) return fail(told.error());
  return 0;
}

using Clock = std::chrono::steady_clock;

// For whoever is just starting or ending a workspace, or supervises it.
constexpr std::chrono::seconds kPatience{15};

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
}

// Whether the workspace is supervised; who supervises it knows then that its end is final.
Result<bool> tell_supervise(const Store& store, const std::string& name) {
  const auto supervised = store.supervised(name);
  if (!supervised || !*supervised) return supervised;
  const auto known = store.end_requested(name);
  if (!known) return fail(known.error());
  const Status told = *known ? Status() : store.request_end(name);
  if (!told) return fail(told.error());
  return true;
}

tl::unexpected<Error> does_not_react(const std::string& name) {
  return fail(ErrorKind::transient,
              fmt::format("`microagent supervise` of workspace \"{}\" is told to end and does not react", name),
              "see whether it is suspended or nobody reads its output, and end it");
}

// Ends what runs by `end`. Where nothing does, but somebody supervises the workspace, it is that one who ends, and at
// once: one that takes longer than `kPatience` is not at work.
Result<Runtime> end_for_good(const Subject& subject, const std::function<Result<Runtime>()>& end) {
  const std::string& name = subject.manifest.name;
  auto watch = WorkspaceWatch::open(subject.store, name);
  if (!watch) return fail(watch.error());
  std::optional<Clock::time_point> deadline;
  for (bool told = false;;) {
    const auto supervised = tell_supervise(subject.store, name);
    if (!supervised) return fail(supervised.error());
    told = told || *supervised;
    auto ended = end();
    const bool nothing_runs = !ended && ended.error().kind == ErrorKind::conflict;
    if (ended || (!nothing_runs && !(told && ended.error().retryable()))) return ended;
    if (nothing_runs && !*supervised) return told ? subject.store.load_runtime(name) : ended;
    if (!deadline) deadline = Clock::now() + kPatience;
    const int left = milliseconds_until(*deadline);
    if (left == 0 && !*supervised) return ended;
    if (left == 0) return does_not_react(name);
    watch->wait_beside({}, left);
  }
}

Status tell_timings(const Context& context, const Manifest& manifest, const Runtime& runtime,
                    std::chrono::microseconds whole) {
  if (!context.out.json()) {
    if (Status told = tell(context, manifest, runtime); !told) return told;
    return context.out.text(describe_boot(context.out, runtime, whole));
  }
  nlohmann::json record = workspace::status_record(manifest, runtime);
  record["timings"] = boot_record(runtime, whole);
  return context.out.record(std::move(record));
}

Result<int> start(const Context& context, const StartOptions& options) {
  const auto begun = std::chrono::steady_clock::now();
  const auto subject = find_subject(context, options.name);
  if (!subject) return fail(subject.error());
  if (Status free = check_unsupervised(*subject); !free) return fail(free.error());
  if (options.reset_caps) {
    if (Status reset = subject->store.reset_caps(options.name); !reset) return fail(reset.error());
  }
  const auto started = boot(context, *subject, std::chrono::seconds(options.timeout));
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  if (started && options.timings) {
    if (Status told = tell_timings(context, subject->manifest, *started, whole); !told) return fail(told.error());
    return 0;
  }
  if (!started || (!options.wait && !options.wait_timeout)) return finish(context, *subject, started);
  return wait_for_end(context, subject->store, subject->manifest, options.wait_timeout);
}

// One that does not run is started all the same: what is wanted is a fresh life.
Result<int> restart(const Context& context, const RestartOptions& options) {
  const auto subject = find_subject(context, options.name);
  if (!subject) return fail(subject.error());
  if (Status free = check_unsupervised(*subject); !free) return fail(free.error());
  Progress(context.out, options.name)("shutting down");
  const auto stopped = supervisor::stop(subject->store, options.name, std::chrono::seconds(options.stop_timeout));
  if (!stopped && stopped.error().kind != ErrorKind::conflict) return fail(stopped.error());
  return finish(context, *subject, boot(context, *subject, std::chrono::seconds(options.timeout)));
}

Result<int> stop(const Context& context, const StopOptions& options) {
  const auto subject = find_subject(context, options.name);
  if (!subject) return fail(subject.error());
  Progress(context.out, options.name)("shutting down");
  const std::chrono::seconds timeout(options.timeout);
  return finish(context, *subject,
                end_for_good(*subject, [&] { return supervisor::stop(subject->store, options.name, timeout); }));
}

Result<int> kill(const Context& context, const KillOptions& options) {
  const auto subject = find_subject(context, options.name);
  if (!subject) return fail(subject.error());
  return finish(context, *subject,
                end_for_good(*subject, [&] { return supervisor::kill(subject->store, options.name); }));
}

// One that is supervised goes by force alone, and whoever supervises it is told so that no other life begins meanwhile.
Status release(const Store& store, const DeleteOptions& options) {
  if (!store.exists(options.name)) return {};
  const auto supervised = options.force ? tell_supervise(store, options.name) : store.supervised(options.name);
  if (!supervised) return fail(supervised.error());
  if (!*supervised || options.force) return {};
  return fail(ErrorKind::conflict,
              fmt::format("workspace \"{}\" is supervised: `microagent supervise` starts it", options.name),
              fmt::format("`microagent stop {0}` first, or `microagent delete --force {0}`", options.name));
}

// What runs is killed first, and who is just starting or ending it is waited for.
Status remove_by_force(const Store& store, const std::string& name) {
  Status removed = store.remove(name);
  if (removed || removed.error().kind != ErrorKind::conflict) return removed;
  auto watch = WorkspaceWatch::open(store, name);
  if (!watch) return store.remove(name);  // it has gone meanwhile, or this says why it cannot
  const auto deadline = Clock::now() + kPatience;
  for (;;) {
    const auto killed = supervisor::kill(store, name);
    // It may have ended by itself in the meantime.
    if (!killed && killed.error().kind != ErrorKind::conflict && !killed.error().retryable()) {
      return fail(killed.error());
    }
    removed = store.remove(name);
    if (removed || removed.error().kind != ErrorKind::conflict) return removed;
    const int left = milliseconds_until(deadline);
    if (left > 0) {
      watch->wait_beside({}, left);
      continue;
    }
    const auto supervised = store.supervised(name);
    if (!supervised) return fail(supervised.error());
    if (*supervised) return does_not_react(name);
    return killed ? removed : fail(killed.error());
  }
}

// The name is free for another workspace once nobody supervises under it. A lock that is given back gives no sign.
Status await_unsupervised(const Store& store, const std::string& name) {
  constexpr std::chrono::milliseconds kPause{20};
  for (const auto deadline = Clock::now() + kPatience;; std::this_thread::sleep_for(kPause)) {
    const auto supervised = store.supervised(name);
    if (!supervised) return fail(supervised.error());
    if (!*supervised) return {};
    if (Clock::now() >= deadline) return does_not_react(name);
  }
}

// Whether the workspace was there. A record that cannot be read does not stand in the way.
Result<bool> remove_workspace(const Store& store, const DeleteOptions& options) {
  if (Status released = release(store, options); !released) return fail(released.error());
  const Status removed = options.force ? remove_by_force(store, options.name) : store.remove(options.name);
  const bool gone = removed || removed.error().kind == ErrorKind::not_found;
  if (Status alone = gone && options.force ? await_unsupervised(store, options.name) : Status(); !alone) {
    return fail(alone.error());
  }
  if (gone) return removed.has_value();
  if (removed.error().kind != ErrorKind::conflict) return fail(removed.error());
  return fail(ErrorKind::conflict, removed.error().message,
              fmt::format("`microagent stop {}` first, or `microagent delete --force {}`", options.name, options.name));
}

Result<int> delete_workspace(const Context& context, const DeleteOptions& options) {
  if (Status named = workspace::check_name(options.name); !named) return fail(named.error());
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto deleted = remove_workspace(*store, options);
  if (!deleted) return fail(deleted.error());
  const Status told =
      context.out.json()
          ? context.out.record({{"workspace", options.name}, {"deleted", *deleted}})
          : context.out.text(fmt::format("{} {}\n", options.name, *deleted ? "is deleted" : "did not exist"));
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_start(Commands& commands) {
  auto [command, options] =
      commands.add<StartOptions>("start", "Boot a workspace and wait until its guest is ready", start);
  require_name(*command, options->name);
  command->add_option("--timeout", options->timeout, "seconds the guest may take to become ready")
      ->check(CLI::Range(1U, kMaxSeconds))
      ->capture_default_str();
  command->add_flag("--reset-caps", options->reset_caps, "begin anew to count what the egress caps are charged");
  CLI::Option* timings = command->add_flag("--timings", options->timings, "show what each part of the start took");
  command->add_flag("--wait", options->wait, "then wait until it has ended, or its entrypoint has, as `wait` does")
      ->excludes(timings);
  command->add_option("--wait-timeout", options->wait_timeout, "wait so many seconds at most; implies --wait")
      ->check(CLI::Range(1U, kMaxWaitSeconds))
      ->excludes(timings);
  command->footer(
      "A published port that is taken fails the start before the guest boots. When the start fails, no process is "
      "left;\n"
      "the error and `microagent status` say why, `microagent logs --supervisor` says more.\n\n"
      "Variables that the workspace's credential swaps name are read from the environment of this command, each time.");
}

void add_restart(Commands& commands) {
  auto [command, options] =
      commands.add<RestartOptions>("restart", "Shut a workspace down cleanly, and boot it again", restart);
  require_name(*command, options->name);
  command->add_option("--timeout", options->timeout, "seconds the guest may take to become ready")
      ->check(CLI::Range(1U, kMaxSeconds))
      ->capture_default_str();
  command->add_option("--stop-timeout", options->stop_timeout, "seconds until the guest is killed")
      ->check(CLI::Range(0U, kMaxSeconds))
      ->capture_default_str();
  command->footer("A workspace that does not run is started. The record is read anew: what was changed takes effect.");
}

void add_stop(Commands& commands) {
  auto [command, options] = commands.add<StopOptions>("stop", "Shut a workspace down cleanly, within a bound", stop);
  command->alias("halt");
  require_name(*command, options->name);
  command->add_option("--timeout", options->timeout, "seconds until the guest is killed")
      ->check(CLI::Range(0U, kMaxSeconds))
      ->capture_default_str();
  command->footer(
      "Where others have asked before, the one that is in most of a hurry counts.\n\n"
      "The guest shares out this time: the workload is asked by its image's stop signal, if it has one, then every\n"
      "process by SIGTERM; what still runs when about a third is left, or 8 s of a long time, is killed in the guest,\n"
      "and the rest is for its disks to be written.");
}

void add_kill(Commands& commands) {
  auto [command, options] = commands.add<KillOptions>("kill", "End a workspace at once", kill);
  require_name(*command, options->name);
  command->footer(
      "A supervisor that hangs is killed itself after 15 s, and its workspace is one whose supervisor died.");
}

void add_delete(Commands& commands) {
  auto [command, options] =
      commands.add<DeleteOptions>("delete", "Remove a workspace and all that is kept of it", delete_workspace);
  require_name(*command, options->name);
  command->add_flag("--force", options->force, "kill it first if it runs, and even if it is supervised");
  command->footer("A workspace that does not exist is deleted already: exit code 0, \"deleted\":false.");
}

}  // namespace microagent::cli

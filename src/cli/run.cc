// microagent run

#include <fmt/format.h>
#include <sys/random.h>

#include <cstdint>

#include "base/check.h"
#include "cli/create.h"
#include "cli/furnish.h"
#include "cli/guest_command.h"
#include "cli/progress.h"
#include "cli/signal_watch.h"
#include "cli/subject.h"
#include "cli/workspace_watch.h"
#include "supervisor/client.h"

namespace microagent::cli {
namespace {

using workspace::Manifest;

constexpr const char* kBuiltIn = "base";
constexpr int kSignalled = 128;

struct RunOptions {
  std::string image;
  CreateOptions workspace;
  GuestCommand command;
  unsigned start_timeout = kReadySeconds;
  bool keep = false;
};

// No two of them meet, of however many that run at once.
std::string make_name() {
  std::uint64_t number = 0;
  MICROAGENT_CHECK(::getrandom(&number, sizeof number, 0) == sizeof number);
  return fmt::format("run-{:012x}", number >> 16);
}

Result<Manifest> plan(const RunOptions& options) {
  CreateOptions create = options.workspace;
  if (options.image != kBuiltIn) create.image = options.image;
  create.name_otherwise = workspace::Declared<std::string>{make_name(), "the made-up name"};
  auto manifest = plan_workspace(create);
  if (!manifest || options.image != kBuiltIn || !manifest->image) return manifest;
  return fail(ErrorKind::usage,
              fmt::format("IMAGE is {}, and the spec's image is {}", kBuiltIn, manifest->image->reference),
              "name the spec's image as IMAGE, or take it out of the spec");
}

// The command stands in the entrypoint's place.
Result<std::vector<std::string>> choose_command(const Context& context, Manifest& manifest) {
  const std::string entrypoint = std::exchange(manifest.entrypoint, {});
  std::vector<std::string> words = context.words;
  const auto declared = std::exchange(manifest.command, {});
  if (words.empty()) words = declared;
  if (manifest.image) {
    // As with docker, the image's entrypoint takes the command as its arguments. Neither is run at the boot as well.
    const auto before = std::exchange(manifest.image->entrypoint, {});
    const auto command = std::exchange(manifest.image->command, {});
    if (words.empty() && entrypoint.empty()) words = command;
    if (entrypoint.empty()) words.insert(words.begin(), before.begin(), before.end());
  }
  if (!words.empty()) return words;
  if (!entrypoint.empty()) return std::vector<std::string>{"/bin/sh", "-c", entrypoint};
  return fail(ErrorKind::usage, "there is no command to run",
              "write it behind the image: microagent run base ls -l; or give --entrypoint");
}

// How it went, from the boot to the command's end.
struct Course {
  Result<GuestCommandEnd> end;
  std::optional<int> signal;  // that came before the command began
};

Course boot_and_run(const Context& context, const Subject& subject, const RunOptions& options,
                    const GuestCommand& command, const SignalWatch& signals, supervisor::Leash& leash) {
  const auto booted = boot(context, subject, std::chrono::seconds(options.start_timeout), &leash);
  if (!booted) return {fail(booted.error()), signals.take()};
  return {
      run_guest_command(context, command, [&] { return supervisor::open_exec(subject.store, subject.manifest.name); }),
      std::nullopt};
}

// Waits until nothing of the workspace runs any more and it is removed; one that is quarantined goes on.
Status await_removal(const Subject& subject) {
  const std::string& name = subject.manifest.name;
  auto watch = WorkspaceWatch::open(subject.store, name);
  for (;;) {
    const auto runtime = subject.store.load_settled_runtime(name);
    // On a leash that was let go the supervisor has removed it.
    if (!runtime && runtime.error().kind == ErrorKind::not_found) return {};
    if (!runtime) return fail(runtime.error());
    if (runtime->state == workspace::State::quarantined) {
      return fail(ErrorKind::conflict, fmt::format("workspace {} was quarantined and is kept", name),
                  fmt::format("end it with: microagent delete --force {}", name));
    }
    if (!is_alive(runtime->state)) {
      Status removed = subject.store.remove(name);
      if (removed || removed.error().kind == ErrorKind::not_found) return {};
      // The supervisor is still about to do it.
      if (removed.error().kind != ErrorKind::conflict) return removed;
    }
    if (!watch) return fail(watch.error());
    watch->wait();
  }
}

// Ends the workspace, if it still runs, and removes it unless it is to be kept. It is ended by the leash rather than by
// a request: the supervisor knows whether it is being quarantined, which is how our command may have come to its end.
Status clear_up(const Subject& subject, supervisor::Leash& leash, bool keep) {
  const std::string& name = subject.manifest.name;
  if (keep) {
    const auto ended = supervisor::stop(subject.store, name, std::chrono::seconds(kStopSeconds));
    return !ended && ended.error().kind != ErrorKind::conflict ? Status(fail(ended.error())) : Status();
  }
  leash.held.reset();
  return await_removal(subject);
}

Result<int> tell(const Context& context, const Manifest& manifest, Course course, const Status& cleared, bool kept) {
  if (course.signal)
    course.end = GuestCommandEnd{kSignalled + *course.signal, {{"exitCode", kSignalled + *course.signal}}};
  if (course.signal) course.end->record["failure"] = "ended by a signal before the command began";
  if (!course.end) return fail(course.end.error());
  if (!context.out.json()) {
    if (course.signal) say(fmt::format("microagent: {} is ended before its command began", manifest.name));
    if (!cleared) context.out.error(cleared.error());
    else if (kept) say(fmt::format("microagent: {} is kept", manifest.name));
    return course.end->code;
  }
  nlohmann::json& record = course.end->record;
  record["workspace"] = manifest.name;
  record["kept"] = kept;
  if (!cleared) record["clearingError"] = cleared.error().message;
  if (Status told = context.out.record(std::move(record), cleared.has_value()); !told) return fail(told.error());
  return course.end->code;
}

Result<int> run(const Context& context, const RunOptions& options) {
  auto manifest = plan(options);
  if (!manifest) return fail(manifest.error());
  auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto pull = options.workspace.pull ? image::Pull::always : image::Pull::missing;
  auto furniture = gather_furniture(*manifest, pull, Progress(context.out, manifest->name));
  if (!furniture) return fail(furniture.error());
  GuestCommand command = options.command;
  auto argv = choose_command(context, *manifest);
  if (!argv) return fail(argv.error());
  command.argv = std::move(*argv);
  if (Status valid = check_guest_command(context, command); !valid) return fail(valid.error());

  const Subject subject{std::move(*store), std::move(*manifest)};
  // From here on a signal must not keep us from clearing up.
  const SignalWatch signals(kEndingSignals);
  if (Status created = create_furnished(subject.store, subject.manifest, *furniture); !created)
    return fail(created.error());
  furniture->image.reset();  // the workspace has it now, and others may want it
  supervisor::Leash leash;
  leash.discard = !options.keep;
  leash.interrupt = signals.fd();
  Course course = boot_and_run(context, subject, options, command, signals, leash);
  const Status cleared = clear_up(subject, leash, options.keep);
  return tell(context, subject.manifest, std::move(course), cleared, options.keep);
}

}  // namespace

void add_run(Commands& commands) {
  auto [command, options] =
      commands.add<RunOptions>("run", "Create and start a workspace, run one command in it, and delete it", run);
  command
      ->add_option(
          "IMAGE", options->image,
          "what the guest's root is made of: base, which comes with microagent, or what `create --image` takes")
      ->required()
      ->type_name("");
  add_declaring_flags(*command, options->workspace);
  add_guest_command_flags(*command, options->command);
  command->add_option("--start-timeout", options->start_timeout, "seconds the guest may take to become ready")
      ->check(CLI::Range(1U, kMaxSeconds))
      ->capture_default_str();
  command->add_flag("--keep", options->keep, "shut the workspace down cleanly at the end, and do not delete it");
  command->footer(
      "The command stands behind the image: microagent run [OPTIONS] IMAGE [--] COMMAND [ARGUMENT...]\n\n"
      "From its first word on everything goes to the guest as it is; no shell reads it. Without a command the line of\n"
      "--entrypoint is run by the guest's shell. Input, output, signals and the exit code are as of `exec`. However "
      "this\n"
      "program ends, even killed, the workspace ends with it and is deleted; one that was quarantined is not. A "
      "signal\n"
      "that comes before the command begins ends the start; the exit code is 128 and its number then.\n\n"
      "Examples:\n"
      "  microagent run base ip addr\n"
      "  microagent run --network isolated -t base sh\n"
      "  microagent run --size 4GiB -v work:/work python:3.12-slim -- python3 /work/job.py\n"
      "  microagent run --memory 1GiB --egress-allow example.org base -- wget -qO- http://example.org/");
}

}  // namespace microagent::cli

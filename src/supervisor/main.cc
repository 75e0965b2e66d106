// microagent-supervisor: lives as long as one workspace does. Started by `microagent start`, detached.

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>

#include "base/log.h"
#include "supervisor/plan.h"
#include "supervisor/programs.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"

namespace microagent::supervisor {
namespace {

constexpr int kStandardError = 2;

struct Arguments {
  std::string state_dir, workspace;
  int report_fd = -1, variables_fd = -1;
  int ready_timeout = 60;
  int leash_fd = -1;
  bool discard = false, for_a_copy = false;
};

// A life that is under way stays; everything else that has the lock gives it back, or becomes one.
Result<workspace::Lock> take_lock(const workspace::Store& store, const std::string& name) {
  auto lock = store.try_lock(name);
  if (lock || lock.error().kind != ErrorKind::conflict) return lock;
  const auto runtime = store.load_runtime(name);
  using workspace::State;
  const bool lives = runtime && is_alive(runtime->state) && runtime->state != State::stopping;
  if (lives && !runtime->for_a_copy()) return lock;
  return fail(ErrorKind::transient,
              fmt::format("workspace \"{}\" is just starting or ending, or another command is at work on it", name),
              "try again");
}

// Takes the workspace: from here until its end nobody else may start, change or delete it.
Result<Charge> take_charge(const workspace::Store& store, const Arguments& arguments, Fd variables) {
  if (Status named = workspace::check_name(arguments.workspace); !named) return fail(named.error());
  auto programs = find_program_directory();
  if (!programs) return fail(programs.error());
  auto lock = take_lock(store, arguments.workspace);
  if (!lock) return fail(lock.error());
  auto manifest = store.load_manifest(arguments.workspace);
  if (!manifest) return fail(manifest.error());
  if (Status valid = workspace::validate(*manifest); !valid) return fail(valid.error());
  std::shared_ptr<const workspace::Runtime> before;
  if (arguments.for_a_copy) {
    auto runtime = store.load_runtime(arguments.workspace);
    if (!runtime) return fail(runtime.error());
    // A copy before this one may have been cut off.
    before = runtime->before ? runtime->before : std::make_shared<const workspace::Runtime>(std::move(*runtime));
    manifest = for_a_copy(*manifest);
  }
  const auto path = store.directory(arguments.workspace);
  auto directory = open_directory(path);
  if (!directory) return fail(directory.error());
  auto log = open_log_of_life(path, "supervisor.log", arguments.for_a_copy, kStandardError);
  if (!log) return fail(log.error());
  return Charge{std::move(*manifest),
                store.root(),
                path,
                std::move(*programs),
                std::move(*directory),
                std::move(*lock),
                std::move(*log),
                std::chrono::seconds(arguments.ready_timeout),
                std::move(variables),
                Fd(arguments.leash_fd),
                arguments.discard,
                std::move(before)};
}

Status supervise(const Arguments& arguments, Fd variables, Reporter& reporter) {
  auto store = workspace::Store::open(arguments.state_dir);
  if (!store) return fail(store.error());
  auto charge = take_charge(*store, arguments, std::move(variables));
  if (!charge) {
    reporter.failed(charge.error());
    return fail(charge.error());
  }
  asio::io_context io(1);
  Supervisor supervisor(io, *store, reporter, std::move(*charge));
  return supervisor.run();
}

}  // namespace
}  // namespace microagent::supervisor

int main(int argc, char** argv) {
  using namespace microagent;
  set_log_name("supervisor");
  CLI::App app("Started by microagent; not for people.");
  supervisor::Arguments arguments;
  app.add_option("--state-dir", arguments.state_dir, "root of the state directory")->required();
  app.add_option("--workspace", arguments.workspace, "the workspace to run")->required();
  app.add_option("--report-fd", arguments.report_fd, "pipe to the command that waits for the start")->required();
  app.add_option("--variables-fd", arguments.variables_fd, "pipe with the variables that swaps name");
  app.add_option("--ready-timeout", arguments.ready_timeout, "seconds the guest may take to boot");
  app.add_option("--leash-fd", arguments.leash_fd, "pipe of the command that wants the end of this with its own");
  app.add_flag("--discard", arguments.discard, "remove the workspace when that command is gone");
  app.add_flag("--for-a-copy", arguments.for_a_copy, "boot no more than a copy needs, and leave the record as it is");
  CLI11_PARSE(app, argc, argv);
  ::umask(077);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  supervisor::Reporter reporter{Fd(arguments.report_fd)};
  Fd variables(arguments.variables_fd);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    reporter.failed(fail_errno(errno, "cannot give up new privileges").value());
    return 1;
  }
  const Status status = supervisor::supervise(arguments, std::move(variables), reporter);
  if (!status) log_error("{}", status.error().message);
  return status ? 0 : 1;
}

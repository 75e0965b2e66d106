#include "init/guest.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "init/console.h"
#include "init/disks.h"
#include "init/files.h"
#include "init/host_files.h"
#include "init/modules.h"
#include "init/mounts.h"
#include "init/network.h"
#include "init/own_init.h"
#include "init/text.h"
#include "init/timings.h"
#include "init/trust.h"
#include "init/trust_java.h"
#include "init/trust_lists.h"
#include "wire/guest_roots.h"

namespace microagent::init {
namespace {

using wire::FrameType;

constexpr const char* kConfigPath = "/microagent/config";
constexpr const char* kRootsPath = "/microagent/roots";
constexpr std::size_t kMaxConfig = 4 * 1024 * 1024;
constexpr rlimit kOwnOpenFiles{65'536, 524'288};

constexpr std::chrono::milliseconds kTrustPatience{30'000};  // the host may be busy making its key

// Whom the host trusts. It lies beside what the host declared, which the directory is removed with.
Result<std::string> take_roots() {
  auto roots = read_file(kRootsPath, wire::kMaxRoots);
  if (roots && ::unlink(kRootsPath) != 0) return fail_errno(errno, concat("cannot remove ", kRootsPath));
  return roots;
}

// What the host declared. It may hold secrets of the workspace's, so it does not stay where every user could read it.
Result<wire::GuestConfig> take_config() {
  const auto text = read_file(kConfigPath, kMaxConfig);
  if (!text) return fail(text.error());
  auto config = wire::parse_guest_config(*text);
  if (!config) return fail(ErrorKind::permanent, concat(kConfigPath, " is not what this init understands"));
  if (::unlink(kConfigPath) != 0 || ::rmdir("/microagent") != 0) {
    return fail_errno(errno, concat("cannot remove ", kConfigPath));
  }
  return std::move(*config);
}

}  // namespace

template <typename Fact>
bool Guest::run_until(Fact fact, std::chrono::milliseconds limit) {
  bool late = false;
  const Loop::Timer timer = loop_.after(limit, [&] { late = true; });
  while (!fact() && !late) loop_.step();
  loop_.cancel(timer);
  return fact();
}

template <typename Fact>
bool Guest::run_to(Fact fact, std::chrono::milliseconds EndPlan::*place) {
  for (;;) {
    const auto begun = end_begun_;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(begun + end_.*place - Clock::now());
    const bool woken = run_until([&] { return fact() || end_begun_ != begun; }, std::max(left, left.zero()));
    if (!woken || fact()) return woken;
  }
}

Status Guest::boot() {
  Timings timings;
  if (Status mounted = mount_file_systems(); !mounted) return mounted;
  roots_ = take_roots().value_or("");  // a guest without them trusts less, and lives
  auto config = take_config();
  if (!config) return fail(config.error());
  config_ = std::move(*config);
  timings.mark("file systems");
  if (Status loaded = load_modules("boot"); !loaded) return loaded;
  timings.mark("modules of the channel");
  // From here on the host is told why the guest cannot live.
  agent_.open();
  if (Status loaded = load_device_modules(); !loaded) return loaded;
  timings.mark("modules of the devices");
  if (Status entered = enter_root(); !entered) return entered;
  timings.mark("disks");
  if (Status prepared = prepare(); !prepared) return prepared;
  timings.mark("accounts and files");
  // The host answers while the network is set up.
  if (Status serving = serve(); !serving) return serving;
  timings.mark("services");
  if (Status set = set_up_network(); !set) return set;
  timings.mark("network");
  if (Status told = await_trust(); !told) return told;
  timings.mark("trust");
  facts_.stages = timings.stages();
  agent_.send(wire::encode_frame(FrameType::ready, wire::encode_guest_facts(facts_)));
  return start_workload();
}

// The modules lie in the initial file system, so that all of them are loaded before it is left.
Status Guest::load_device_modules() {
  if (config_.network) {
    if (Status loaded = load_modules("network"); !loaded) return loaded;
  }
  return config_.root_disk || !config_.volumes.empty() ? load_modules("disk") : Status();
}

Status Guest::enter_root() {
  if (config_.root_disk) {
    if (Status entered = enter_root_disk(); !entered) return entered;
  }
  if (Status mounted = mount_volumes(config_.volumes); !mounted) return mounted;
  // Interception may begin later, so a guest without a list of its own keeps them.
  if (has_own_list("")) roots_ = {};
  if (config_.init.empty()) return {};
  auto way = make_way_for(config_.init);
  if (!way) return fail(way.error());
  way_ = std::move(*way);
  return {};
}

Status Guest::find_user() {
  auto identity = find_identity(config_.user);
  if (!identity) {
    return fail(ErrorKind::permanent, concat("the image has no user ", config_.user, ", as whom it is to be run"));
  }
  identity_ = std::move(*identity);
  if (config_.workdir.empty()) return {};
  workdir_ = config_.workdir;
  if (::access(workdir_.c_str(), F_OK) == 0) return {};
  if (Status made = make_directories(workdir_); !made) return made;
  if (::chown(workdir_.c_str(), identity_.uid, identity_.gid) == 0) return {};
  return fail_errno(errno, concat("cannot make the directory ", workdir_));
}

Status Guest::prepare() {
  ::signal(SIGPIPE, SIG_IGN);
  // The last four are how busybox and kernel ask a PID 1 for the end.
  auto signals =
      Signals::heed(loop_, {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2}, [this](int signal) { on_signal(signal); });
  if (!signals) return fail(signals.error());
  signals_ = std::move(*signals);
  if (::setrlimit(RLIMIT_NOFILE, &kOwnOpenFiles) != 0) return fail_errno(errno, "cannot raise the limit of open files");
  if (Status found = find_user(); !found) return found;
  chosen_ = chosen_environment(config_.image_env, {}, config_.env);
  // A disk keeps the result of an earlier life, which is none of this one's.
  if (::unlink(wire::kResultPath) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove an old result");
  auto watch = ResultWatch::open(loop_, wire::kResultPath,
                                 [this] { agent_.send(wire::encode_frame(FrameType::result_ready, ByteView())); });
  if (!watch) return fail(watch.error());
  result_watch_ = std::move(*watch);
  return write_host_files(config_);
}

Status Guest::serve() {
  if (Status listening = exec_.listen(); !listening) return listening;
  return configure_loopback();
}

Status Guest::set_up_network() {
  if (!config_.network) return {};
  const auto device = configure_network(*config_.network);
  if (!device) return fail(device.error());
  auto facts = read_facts(*device);
  if (!facts) return fail(facts.error());
  facts_ = std::move(*facts);
  return {};
}

// Nothing of the workspace's may run before: it would meet certificates that it does not know, and remember that.
Status Guest::await_trust() {
  if (run_until([this] { return trust_ || shutdown_wanted_; }, kTrustPatience)) return {};
  return fail(ErrorKind::transient, "the host did not say whom to trust");
}

void Guest::on_frame(const wire::FrameReader::Frame& frame) {
  if (frame.type == FrameType::shutdown) {
    request_shutdown(std::chrono::milliseconds(wire::parse_number(frame.payload).value_or(wire::kEndPatience)));
  }
  if (frame.type == FrameType::trust) on_trust(frame.payload);
}

void Guest::on_trust(ByteView payload) {
  auto trust = wire::parse_trust(payload);
  if (!trust) return say("the host told in no way that this init understands whom to trust");
  const bool known = trust_ == trust;  // told again over a new stream
  trust_ = std::move(*trust);
  if (known) return;
  // Who boots without a network, as for a copy, is not told what holds with one.
  if (trust_->certificate.empty()) return config_.network ? forget_trust() : void();
  const Status installed = install_trust("", *trust_, roots_);
  if (!installed) say(installed.error().message);
  // Processes that run already go on with what they have.
  chosen_ = chosen_environment(config_.image_env, trust_environment(), config_.env);
  // Java trusts nobody at all where it is told of a store that is not there.
  if (is_file(kJavaStore)) chosen_ = with_java_store(std::move(chosen_));
  const std::string why = installed ? std::string() : installed.error().message;
  agent_.send(wire::encode_frame(FrameType::trusted, std::string_view(why).substr(0, wire::kMaxFrame)));
}

void Guest::forget_trust() {
  if (const Status removed = remove_trust(""); !removed) say(removed.error().message);
}

Status Guest::start_workload() {
  if (way_) {
    be_process_1(way_);
    second_ = true;
  }
  const std::vector<std::string> line{"/bin/sh", "-c", config_.entrypoint};
  const auto& argv = config_.entrypoint.empty() ? config_.command : line;
  if (argv.empty()) return {};
  workload_ = {.argv = argv,
               .environment = workspace_environment(identity_, chosen_),
               .workdir = workdir_,
               .streams = Streams::console,
               .identity = identity_};
  auto process = start_process(workload_);
  if (!process) return fail(process.error());
  workload_verdict_ = std::move(process->verdict);
  workload_pid_ = process->pid;
  reaper_.expect(process->pid, [this](wire::ExitStatus status) {
    workload_pid_ = -1;
    if (const auto failure = take_start_failure(workload_verdict_.get(), workload_)) say(failure->text);
    agent_.send(wire::encode_frame(FrameType::workload_exited, bytes_of(status)));
  });
  return {};
}

void Guest::on_signal(int signal) {
  if (signal == SIGCHLD) return reaper_.on_child_signal();
  told_to_go_ = second_;
  request_shutdown(std::chrono::milliseconds(wire::kEndPatience));
}

// A later request counts where it is in more of a hurry.
void Guest::request_shutdown(std::chrono::milliseconds patience) {
  const auto now = Clock::now();
  if (shutdown_wanted_ && now + patience >= end_due_) return;
  shutdown_wanted_ = true;
  end_ = plan_end(patience);
  end_begun_ = now;
  end_due_ = now + patience;
}

void Guest::report_failure(const Error& error) {
  say(error.message);
  agent_.send(wire::encode_frame(FrameType::failed, std::string_view(error.message).substr(0, wire::kMaxFrame)));
  request_shutdown(std::chrono::milliseconds(wire::kEndPatience));
}

void Guest::live() {
  while (!shutdown_wanted_) loop_.step();
}

// The image may want its command to be asked in its own way, and alone.
void Guest::end_workload() {
  if (config_.stop_signal == 0 || workload_pid_ < 0) return;
  ::kill(workload_pid_, static_cast<int>(config_.stop_signal));
  run_to([this] { return workload_pid_ < 0; }, &EndPlan::stop);
}

// The image's init ends everything, ourselves too; where it does not, we switch the machine off.
void Guest::wind_down_as_second() {
  if (!told_to_go_) {
    ask_process_1_to_end(static_cast<int>(config_.stop_signal));
    run_to([this] { return told_to_go_; }, &EndPlan::kill);
  }
  tell_all();
}

void Guest::tell_all() {
  agent_.finish();
  run_to([this] { return agent_.finished(); }, &EndPlan::host);
}

void Guest::settle() const { settle_disks(config_.volumes); }

void Guest::wind_down() {
  exec_.shut_down();
  if (second_) return wind_down_as_second();
  end_workload();
  const auto alone = [this] { return reaper_.alone(); };
  ::kill(-1, SIGTERM);
  ::kill(-1, SIGCONT);  // the stopped ones cannot heed it otherwise
  reaper_.on_child_signal();
  if (!run_to(alone, &EndPlan::term)) {
    ::kill(-1, SIGKILL);
    run_to(alone, &EndPlan::kill);
  }
  run_to([this] { return exec_.sessions() == 0; }, &EndPlan::host);
  tell_all();
}

}  // namespace microagent::init

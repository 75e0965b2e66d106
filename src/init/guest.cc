#include "init/guest.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "init/console.h"
#include "init/files.h"
#include "init/host_files.h"
#include "init/modules.h"
#include "init/mounts.h"
#include "init/network.h"
#include "init/text.h"
#include "init/timings.h"
#include "init/trust.h"

namespace microagent::init {
namespace {

using wire::FrameType;

constexpr const char* kConfigPath = "/microagent/config";
constexpr std::size_t kMaxConfig = 4 * 1024 * 1024;
constexpr rlimit kOwnOpenFiles{65'536, 524'288};

// How long the end may take; the host waits 10 s as a rule.
constexpr std::chrono::milliseconds kTermPatience{5'000}, kKillPatience{2'000}, kHostPatience{1'000};
constexpr std::chrono::milliseconds kTrustPatience{30'000};  // the host may be busy making its key

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

Status Guest::boot() {
  Timings timings;
  if (Status prepared = prepare(); !prepared) return prepared;
  timings.mark("files");
  if (Status loaded = load_modules("boot"); !loaded) return loaded;
  timings.mark("modules");
  // The host answers while the network is set up.
  if (Status serving = serve(); !serving) return serving;
  timings.mark("services");
  if (Status set = set_up_network(); !set) return set;
  timings.mark("network");
  if (Status told = await_trust(); !told) return told;
  timings.mark("trust");
  agent_.send(wire::encode_frame(FrameType::ready, wire::encode_guest_facts(facts_)));
  timings.say_all();
  return start_workload();
}

Status Guest::prepare() {
  if (Status mounted = mount_file_systems(); !mounted) return mounted;
  ::signal(SIGPIPE, SIG_IGN);
  // The last four are how busybox and kernel ask a PID 1 for the end.
  auto signals =
      Signals::heed(loop_, {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2}, [this](int signal) { on_signal(signal); });
  if (!signals) return fail(signals.error());
  signals_ = std::move(*signals);
  if (::setrlimit(RLIMIT_NOFILE, &kOwnOpenFiles) != 0) return fail_errno(errno, "cannot raise the limit of open files");
  auto config = take_config();
  if (!config) return fail(config.error());
  config_ = std::move(*config);
  environment_ = workspace_environment(config_.env);
  auto watch = ResultWatch::open(loop_, wire::kResultPath,
                                 [this] { agent_.send(wire::encode_frame(FrameType::result_ready, ByteView())); });
  if (!watch) return fail(watch.error());
  result_watch_ = std::move(*watch);
  return write_host_files(config_);
}

Status Guest::serve() {
  if (Status listening = exec_.listen(); !listening) return listening;
  agent_.open();
  return configure_loopback();
}

Status Guest::set_up_network() {
  if (!config_.network) return {};
  if (Status loaded = load_modules("network"); !loaded) return loaded;
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
  if (frame.type == FrameType::shutdown) request_shutdown();
  if (frame.type == FrameType::trust) on_trust(frame.payload);
}

void Guest::on_trust(ByteView payload) {
  auto trust = wire::parse_trust(payload);
  if (!trust) return say("the host told in no way that this init understands whom to trust");
  const bool known = trust_ == trust;  // told again over a new stream
  trust_ = std::move(*trust);
  if (known || trust_->certificate.empty()) return;
  const Status installed = install_trust("", *trust_);
  if (!installed) say(installed.error().message);
  // Processes that run already go on with what they have.
  environment_ = merge(workspace_environment(trust_environment("")), config_.env);
  const std::string why = installed ? std::string() : installed.error().message;
  agent_.send(wire::encode_frame(FrameType::trusted, std::string_view(why).substr(0, wire::kMaxFrame)));
}

Status Guest::start_workload() {
  if (config_.entrypoint.empty()) return {};
  workload_ = {.argv = {"/bin/sh", "-c", config_.entrypoint}, .environment = environment_, .streams = Streams::console};
  auto process = start_process(workload_);
  if (!process) return fail(process.error());
  workload_verdict_ = std::move(process->verdict);
  reaper_.expect(process->pid, [this](wire::ExitStatus status) {
    if (const auto failure = take_start_failure(workload_verdict_.get(), workload_)) say(failure->text);
    agent_.send(wire::encode_frame(FrameType::workload_exited, bytes_of(status)));
  });
  return {};
}

void Guest::on_signal(int signal) {
  if (signal == SIGCHLD) return reaper_.on_child_signal();
  request_shutdown();
}

void Guest::report_failure(const Error& error) {
  say(error.message);
  agent_.send(wire::encode_frame(FrameType::failed, std::string_view(error.message).substr(0, wire::kMaxFrame)));
}

void Guest::live() {
  while (!shutdown_wanted_) loop_.step();
}

void Guest::wind_down() {
  exec_.shut_down();
  const auto alone = [this] { return reaper_.alone(); };
  ::kill(-1, SIGTERM);
  ::kill(-1, SIGCONT);  // the stopped ones cannot heed it otherwise
  reaper_.on_child_signal();
  if (!run_until(alone, kTermPatience)) {
    ::kill(-1, SIGKILL);
    run_until(alone, kKillPatience);
  }
  run_until([this] { return exec_.sessions() == 0; }, kHostPatience);
  agent_.finish();
  run_until([this] { return agent_.finished(); }, kHostPatience);
}

}  // namespace microagent::init

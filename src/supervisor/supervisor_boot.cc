// Supervisor's beginning: from nothing to a guest that is ready.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <cerrno>

#include "base/boot_id.h"
#include "base/log.h"
#include "image/initrd.h"
#include "supervisor/plan.h"
#include "supervisor/sealed_file.h"
#include "supervisor/supervisor.h"
#include "tls/system_roots.h"
#include "wire/guest_roots.h"
#include "workspace/mediation.h"

namespace microagent::supervisor {
namespace {

using workspace::State;

constexpr std::chrono::seconds kWorkerPatience{10};
constexpr std::chrono::seconds kFrontEndPatience{20};
constexpr std::chrono::seconds kProbePatience{10};  // more than the mediator takes for a dial

constexpr const char* kForACopy = "for a copy";

std::string place(int index) { return fmt::format("{}", kFirstDescriptor + index); }

}  // namespace

// Waits for a fact; fails when the workspace is over before, or after `limit`.
template <std::predicate Fact>
asio::awaitable<Status> Supervisor::await(Fact fact, std::chrono::seconds limit, std::string_view what) {
  co_await changes_.until([&] { return fact() || over(); }, in(limit));
  if (fact()) co_return Status();
  if (broken()) {
    const Ending why = co_await post_mortem();
    co_return fail(ErrorKind::permanent, why.detail,
                   for_a_copy() ? "see copy-supervisor.log and copy-console.log in its directory"
                                : "see supervisor.log and console.log");
  }
  if (request_) co_return fail(ErrorKind::conflict, "the workspace was stopped while it started");
  co_return fail(ErrorKind::transient, fmt::format("{} took longer than {} s", what, limit.count()),
                 "try again when the machine is less busy; console.log shows how far the guest came");
}

asio::awaitable<Status> Supervisor::boot() {
  if (Status provided = provide(); !provided) co_return provided;
  boot_clock_.mark("the host's part: ports, acceleration");
  reporter_.progress("starting the network");
  if (Status workers = co_await start_workers(); !workers) co_return workers;
  boot_clock_.mark("netd and the mediator");
  if (Status reached = co_await reach_mediation_target(); !reached) co_return reached;
  if (charge_.manifest.mediation) boot_clock_.mark("the mediation target");
  reporter_.progress(fmt::format("booting the guest ({})", vm::to_string(provisions_->acceleration.accelerator)));
  if (Status machine = co_await start_machine(); !machine) co_return machine;
  boot_clock_.mark("QEMU and its devices");
  Status ready = co_await await_guest();
  boot_clock_.mark_guest(mediator_link_->facts().stages);
  co_return ready;
}

// What needs no waiting: the record, the control socket, the host's things.
Status Supervisor::provide() {
  workspace::Runtime& record = journal_.record();
  record.supervisor_pid = ::getpid();
  record.boot_id = host_boot_id();
  for (const char* name : {"guestReady", "execReady", "shellReady", "resultReady", "mediationReady", "trustReady"}) {
    record.readiness[name] = {};
  }
  record.before = charge_.before;
  const char* const why = for_a_copy() ? kForACopy : "";
  const char* const reason = for_a_copy() ? workspace::kReasonCopy : "";
  if (Status entered = journal_.enter(State::starting, why, reason); !entered) return entered;
  // The result of an earlier life is none of this one's.
  if (!for_a_copy()) ::unlinkat(charge_.directory.get(), workspace::kResultFile, 0);
  auto control = ControlServer::open(io_.get_executor(), charge_.directory.get(), *this, changes_);
  if (!control) return fail(control.error());
  control_ = std::move(*control);
  auto provisions = prepare(charge_.manifest, charge_.state_root, charge_.directory_path, charge_.program_directory);
  if (!provisions) return fail(provisions.error());
  provisions_ = std::move(*provisions);
  record.acceleration = vm::to_string(provisions_->acceleration.accelerator);
  record.acceleration_reason = provisions_->acceleration.reason;
  for (const BoundPort& port : provisions_->ports) record.forwards.push_back(port.forward);
  return {};
}

asio::awaitable<Status> Supervisor::start_workers() {
  const auto wire = wire_config(charge_.manifest, host_has_ipv6_);
  if (!wire) co_return fail(wire.error());
  auto to_netd = flow::Channel::make_pair();
  if (!to_netd) co_return fail(to_netd.error());
  auto to_mediator = flow::Channel::make_pair();
  if (!to_mediator) co_return fail(to_mediator.error());
  auto between = flow::Channel::make_pair();
  if (!between) co_return fail(between.error());
  auto config =
      sealed_file("microagent-mediator-config",
                  mediator_config(charge_.manifest, charge_.directory_path / "egress.jsonl", provisions_->trust));
  if (!config) co_return fail(config.error());

  const Worker::Surroundings surroundings{io_.get_executor(), charge_.log, changes_};
  ChildSpec mediator_spec{.program = provisions_->mediator,
                          .arguments = {"--config-fd", place(0), "--supervisor-fd", place(1), "--netd-fd", place(2)},
                          .descriptors = {config->get(), to_mediator->second.get(), between->second.get()}};
  if (charge_.variables) {
    mediator_spec.arguments.insert(mediator_spec.arguments.end(), {"--credentials-variables-fd", place(3)});
    mediator_spec.descriptors.push_back(charge_.variables.get());
  }
  auto mediator = Worker::start(surroundings, "mediator", std::move(mediator_spec));
  if (!mediator) co_return fail(mediator.error());
  mediator_ = std::move(*mediator);
  charge_.variables.reset();
  auto netd = Worker::start(surroundings, "netd",
                            {.program = provisions_->netd,
                             .arguments = {"--supervisor-fd", place(0), "--mediator-fd", place(1)},
                             .descriptors = {to_netd->second.get(), between->first.get()}});
  if (!netd) co_return fail(netd.error());
  netd_ = std::move(*netd);
  auto netd_link = NetdLink::open(io_.get_executor(), std::move(to_netd->first), changes_);
  if (!netd_link) co_return fail(netd_link.error());
  netd_link_ = std::move(*netd_link);
  auto mediator_link = MediatorLink::open(io_.get_executor(), std::move(to_mediator->first), changes_);
  if (!mediator_link) co_return fail(mediator_link.error());
  mediator_link_ = std::move(*mediator_link);
  // The workers must be the only holders of their ends, so that each sees the other's end.
  to_netd->second.reset();
  to_mediator->second.reset();
  *between = {};

  Status ready = co_await await([this] { return netd_link_->ready() && mediator_link_->ready(); }, kWorkerPatience,
                                "starting netd and the mediator");
  if (!ready) co_return ready;
  if (co_await netd_link_->send(0, *wire, Fd())) co_return Status();
  co_return fail(ErrorKind::permanent, "netd does not take its configuration");
}

// A guest whose channel is required does not even boot while nobody would answer it.
asio::awaitable<Status> Supervisor::reach_mediation_target() {
  const auto& channel = charge_.manifest.mediation;
  if (!channel || !channel->required) co_return Status();
  const auto& reached = mediator_link_->facts().mediation;
  Status told = co_await await([&] { return reached.has_value(); }, kProbePatience, "reaching the mediation target");
  if (!told || reached->ready) co_return told;
  co_return fail(
      ErrorKind::transient,
      fmt::format("--mediation {}: the target cannot be reached: {}", workspace::describe(*channel), reached->error),
      "start what listens there, or let the workspace do without: --mediation-optional");
}

asio::awaitable<Status> Supervisor::start_machine() {
  const bool has_network = charge_.manifest.network.mode == workspace::NetworkMode::user;
  const std::array<image::CpioEntry, 3> entries{
      {{"microagent", S_IFDIR | 0700, {}},
       {"microagent/config", S_IFREG | 0600, wire::encode_guest_config(guest_config(charge_.manifest, host_has_ipv6_))},
       {"microagent/roots", S_IFREG | 0600, has_network ? tls::system_roots(wire::kMaxRoots) : std::string()}}};
  const auto initrd = charge_.directory_path / workspace::kInitrdFile;
  if (Status written = image::write_initrd(provisions_->guest.initramfs, entries, initrd); !written) co_return written;

  boot_clock_.mark("the initial file system");
  // Starting the workers takes longer as a rule.
  while (tsc_meter_.elapsed() < vm::TscMeter::kEnough) co_await pause(vm::TscMeter::kEnough);
  boot_clock_.mark("the clock's rate");

  auto sockets = FrontEndSockets::create(io_.get_executor(), charge_.directory.get(), has_network);
  if (!sockets) co_return fail(sockets.error());
  vm::QemuOptions options{
      .accelerator = provisions_->acceleration.accelerator,
      .memory_mib = charge_.manifest.resources.memory_mib,
      .cpus = charge_.manifest.resources.cpus,
      .kernel = provisions_->guest.kernel,
      .initrd = initrd,
      .kernel_arguments = kernel_arguments(provisions_->acceleration.accelerator, tsc_meter_.khz())};
  options.disks = disks(charge_.manifest, charge_.directory_path, charge_.state_root);
  if (has_network) options.net = vm::NetDevice{{}, kGuestMac, kMtu};
  auto console_log = open_log_of_life(charge_.directory_path, "console.log", for_a_copy());
  if (!console_log) co_return fail(console_log.error());
  auto machine = Machine::start({io_.get_executor(), charge_.log, changes_}, provisions_->qemu, std::move(options),
                                std::move(*console_log), charge_.directory.get());
  if (!machine) co_return fail(machine.error());
  machine_ = std::move(*machine);
  if (const auto& why = machine_->worker().kept_network()) log_warning("QEMU keeps the host's network: {}", *why);
  journal_.record().pids = {{"netd", netd_->pid()}, {"mediator", mediator_->pid()}, {"qemu", machine_->worker().pid()}};
  if (Status saved = journal_.save(); !saved) co_return saved;

  const auto front_ends = co_await accept_front_ends(*sockets);
  if (!front_ends) co_return fail(front_ends.error());
  if (has_network && !co_await netd_link_->send(0, flow::Attach{flow::Device::net}, front_ends->net)) {
    co_return fail(ErrorKind::permanent, "netd does not take the network device");
  }
  if (!co_await netd_link_->send(0, flow::Attach{flow::Device::vsock}, front_ends->vsock)) {
    co_return fail(ErrorKind::permanent, "netd does not take the vsock device");
  }
  co_return Status();
}

// A QEMU that ends, over a kernel it cannot load for example, never comes for its devices.
asio::awaitable<Result<FrontEnds>> Supervisor::accept_front_ends(FrontEndSockets& sockets) {
  using namespace asio::experimental::awaitable_operators;
  auto first = co_await (sockets.accept(in(kFrontEndPatience)) || changes_.until([this] { return over(); }, kNever));
  if (first.index() == 0) co_return std::move(std::get<0>(first));
  const Status why = co_await await([] { return false; }, kFrontEndPatience, "connecting QEMU's devices");
  co_return fail(why.error());
}

asio::awaitable<Status> Supervisor::await_guest() {
  Status ready =
      co_await await([this] { return mediator_link_->facts().ready; }, charge_.ready_timeout, "booting the guest");
  ::unlinkat(charge_.directory.get(), workspace::kInitrdFile, 0);  // QEMU has read it, and it holds the environment
  co_return ready;
}

Status Supervisor::enter_running() {
  publisher_ = std::make_unique<Publisher>(io_.get_executor(), *netd_link_);
  if (Status published = publish(std::move(provisions_->ports)); !published) return published;
  note_facts();
  boot_clock_.mark("published ports");
  journal_.record().boot = boot_clock_.stages();
  running_since_ = std::chrono::steady_clock::now();
  const Status entered = for_a_copy() ? journal_.enter(State::running, kForACopy, workspace::kReasonCopy)
                                      : journal_.enter(State::running, "");
  if (!entered) return entered;
  if (charge_.manifest.upkeep.ttl != 0) spawn(io_.get_executor(), expire());
  reporter_.running();
  return {};
}

}  // namespace microagent::supervisor

#include "supervisor/machine.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/log.h"
#include "base/pipe.h"
#include "supervisor/front_ends.h"
#include "supervisor/sockets.h"

namespace microagent::supervisor {
namespace {

constexpr std::chrono::seconds kMonitorPatience{10};

// Where QEMU finds what it inherits.
constexpr int kMonitorPlace = kFirstDescriptor;
constexpr int kDirectoryPlace = kFirstDescriptor + 1;

Result<std::pair<Fd, Fd>> stream_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "cannot make a socket pair");
  }
  return std::pair{Fd(ends[0]), Fd(ends[1])};
}

std::string_view text_of(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

Result<std::unique_ptr<Machine>> Machine::start(const Worker::Surroundings& surroundings,
                                                const std::filesystem::path& qemu, vm::QemuOptions options,
                                                BoundedLog console_log, int directory) {
  auto console = make_pipe();
  if (!console) return fail(console.error());
  auto monitor = stream_pair();
  if (!monitor) return fail(monitor.error());
  auto watched_console = watch(surroundings.executor, std::move(console->read));
  if (!watched_console) return fail(watched_console.error());
  auto watched_monitor = watch(surroundings.executor, std::move(monitor->first));
  if (!watched_monitor) return fail(watched_monitor.error());

  options.qmp_fd = kMonitorPlace;
  options.vsock_socket = path_in(kDirectoryPlace, FrontEndSockets::kVsock);
  if (options.net) options.net->socket = path_in(kDirectoryPlace, FrontEndSockets::kNet);
  auto worker = Worker::start(surroundings, "qemu",
                              {.program = qemu,
                               .arguments = vm::qemu_arguments(options),
                               .descriptors = {monitor->second.get(), directory},
                               .standard_output = console->write.get(),
                               .leave_network = true});
  if (!worker) return fail(worker.error());
  std::unique_ptr<Machine> machine(new Machine(surroundings.changes, std::move(*worker), std::move(console_log),
                                               std::move(*watched_console), std::move(*watched_monitor)));
  spawn(surroundings.executor, machine->copy_console());
  spawn(surroundings.executor, machine->watch_monitor());
  return machine;
}

Machine::Machine(Changes& changes, std::unique_ptr<Worker> worker, BoundedLog console_log, Descriptor console,
                 Descriptor monitor)
    : changes_(changes),
      worker_(std::move(worker)),
      console_log_(std::move(console_log)),
      console_(std::move(console)),
      monitor_(std::move(monitor)) {}

asio::awaitable<void> Machine::copy_console() {
  std::array<std::uint8_t, 16 * 1024> chunk;
  while (const std::size_t size = co_await read_some(console_, chunk, kNever)) {
    const std::string_view text = text_of(ByteView(chunk).first(size));
    console_log_.write(text);
    console_line_.feed(text);
  }
  console_over_ = true;
  changes_.notify();
}

// A monitor that is lost is no reason to end the guest: what QEMU does is seen by its end as well.
asio::awaitable<void> Machine::watch_monitor() {
  std::array<std::uint8_t, 4096> chunk;
  while (const std::size_t size = co_await read_some(monitor_, chunk, kNever)) {
    const auto events = session_.feed(text_of(ByteView(chunk).first(size)));
    if (!events) {
      log_warning("{}", events.error().message);
      break;
    }
    for (const vm::QmpEvent& event : *events) on_event(event);
    const std::string output = session_.take_output();
    if (!co_await write_all(monitor_, text_bytes(output), in(kMonitorPatience))) break;
  }
  monitor_over_ = true;
  changes_.notify();
}

asio::awaitable<bool> Machine::freeze() {
  const Deadline deadline = in(kMonitorPatience);
  co_await changes_.until([this] { return monitored_ || monitor_over_; }, deadline);
  if (!monitored_ || monitor_over_) co_return false;
  frozen_.reset();
  session_.execute("stop");
  const std::string output = session_.take_output();
  if (!co_await write_all(monitor_, text_bytes(output), deadline)) co_return false;
  co_await changes_.until([this] { return frozen_ || monitor_over_; }, deadline);
  co_return frozen_.value_or(false);
}

void Machine::on_event(const vm::QmpEvent& event) {
  using Kind = vm::QmpEvent::Kind;
  if (event.kind == Kind::answer) frozen_ = event.succeeded;
  if (event.kind == Kind::ready) monitored_ = true;
  if (event.kind == Kind::disk_error) disk_errors_ = {disk_errors_.count + 1, event.reason};
  if (event.kind == Kind::guest_panicked || event.kind == Kind::shutdown) {
    if (!shutdown_) shutdown_ = Shutdown{};
    shutdown_->panicked |= event.kind == Kind::guest_panicked;
    shutdown_->by_guest |= event.by_guest;
    if (!event.reason.empty()) shutdown_->reason = event.reason;
  }
  changes_.notify();
}

}  // namespace microagent::supervisor

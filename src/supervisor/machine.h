#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "supervisor/worker.h"
#include "vm/qemu_command.h"
#include "vm/qmp_session.h"

namespace microagent::supervisor {

// QEMU: its process, its monitor and the serial console. Must outlive its event loop's run.
class Machine {
 public:
  // `directory` is where the devices' sockets lie (front_ends.h). The paths of sockets and
  // the monitor's descriptor in `options` are the machine's own affair.
  static Result<std::unique_ptr<Machine>> start(const Worker::Surroundings& surroundings,
                                                const std::filesystem::path& qemu, vm::QemuOptions options,
                                                BoundedLog console_log, int directory);

  Worker& worker() { return *worker_; }

  bool monitored() const { return monitored_; }  // the monitor's handshake is done

  // Stops the guest's processors; false when QEMU does not say that it has.
  asio::awaitable<bool> freeze();

  // How the guest ended the machine, when it did.
  struct Shutdown {
    bool panicked = false;
    bool by_guest = false;
    std::string reason;  // guest-shutdown, guest-reset, host-signal ...
  };
  const std::optional<Shutdown>& shutdown() const { return shutdown_; }

  // What the host could not read or write for the guest: how often so far, and why the last time.
  struct DiskErrors {
    std::uint64_t count = 0;
    std::string reason;
  };
  const DiskErrors& disk_errors() const { return disk_errors_; }

  // Whether everything QEMU had to tell has been read; soon true after its end.
  bool drained() const { return worker_->drained() && monitor_over_ && console_over_; }
  const std::string& last_console_line() const { return console_line_.get(); }

 private:
  Machine(Changes& changes, std::unique_ptr<Worker> worker, BoundedLog console_log, Descriptor console,
          Descriptor monitor);
  asio::awaitable<void> copy_console();
  asio::awaitable<void> watch_monitor();
  void on_event(const vm::QmpEvent& event);

  Changes& changes_;
  std::unique_ptr<Worker> worker_;
  BoundedLog console_log_;
  LastLine console_line_;
  Descriptor console_, monitor_;
  vm::QmpSession session_;
  std::optional<bool> frozen_;  // once QEMU has answered
  bool monitored_ = false, monitor_over_ = false, console_over_ = false;
  std::optional<Shutdown> shutdown_;
  DiskErrors disk_errors_;
};

}  // namespace microagent::supervisor

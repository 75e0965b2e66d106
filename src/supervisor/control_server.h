#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "supervisor/control_protocol.h"
#include "supervisor/io.h"

namespace microagent::supervisor {

// Who carries out what the control socket asks for.
class ControlHandler {
 public:
  virtual ~ControlHandler() = default;

  // Both return when the workspace has ended.
  virtual asio::awaitable<Status> stop(std::chrono::seconds timeout) = 0;
  virtual asio::awaitable<Status> kill() = 0;
  // Returns when the workspace has ended, or its entrypoint has.
  virtual asio::awaitable<void> wait() = 0;
  // Returns when the workspace has ended.
  virtual asio::awaitable<void> wait_for_end() = 0;
  // Then: the error when what the guest wrote for a copy may be lost.
  virtual Status how_it_ended() const = 0;
  // A stream to the guest's exec service.
  virtual asio::awaitable<Result<Fd>> open_exec() = 0;
  // The egress policy of the manifest, as it is on disk now, takes effect.
  virtual asio::awaitable<Result<nlohmann::json>> apply_policy() = 0;
  // The published ports of the manifest, as it is on disk now, are those that are published.
  virtual asio::awaitable<Result<nlohmann::json>> apply_ports() = 0;
  // A question for the mediator (flow/control.h).
  virtual asio::awaitable<Result<nlohmann::json>> ask_mediator(nlohmann::json question) = 0;
  // What the workspace's processes have used so far.
  virtual asio::awaitable<Result<nlohmann::json>> usage() = 0;
  // What has been found about the guest's health.
  virtual asio::awaitable<Status> note_health(bool healthy, std::string finding) = 0;
  // {"event"}, an event that waits for room on the disk to be told, or {}.
  virtual asio::awaitable<Result<nlohmann::json>> pending_event() = 0;
  // Severs the guest from everything and freezes it.
  virtual asio::awaitable<Result<nlohmann::json>> quarantine() = 0;
};

// Serves <workspace>/control.sock. Must outlive its event loop's run.
class ControlServer {
 public:
  // `directory`, `handler` and `changes` must outlive the server; `changes` hears of every answer.
  static Result<std::unique_ptr<ControlServer>> open(const asio::any_io_executor& executor, int directory,
                                                     ControlHandler& handler, Changes& changes);

  // Takes no further request and removes the socket's name; requests being answered go on.
  void close();

  // Requests that wait for their answer.
  std::size_t pending() const { return pending_; }

 private:
  ControlServer(int directory, Descriptor listener, ControlHandler& handler, Changes& changes)
      : directory_(directory), listener_(std::move(listener)), handler_(handler), changes_(changes) {}
  asio::awaitable<void> accept();
  asio::awaitable<void> serve(Descriptor connection);
  asio::awaitable<void> answer(Descriptor& connection, std::string line);
  asio::awaitable<Result<nlohmann::json>> carry_out(const ControlRequest& request);
  asio::awaitable<bool> wait_while_there(Descriptor& connection, asio::awaitable<void> event);

  int directory_;
  Descriptor listener_;
  ControlHandler& handler_;
  Changes& changes_;
  std::size_t connections_ = 0;
  std::size_t pending_ = 0;
};

}  // namespace microagent::supervisor

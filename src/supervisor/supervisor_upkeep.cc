// What a workspace's declared upkeep asks of its supervisor: an end in time, and a memory of how healthy it is.

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/supervisor.h"

namespace microagent::supervisor {

using workspace::State;

// One that is quarantined is evidence, and frozen: it stays until somebody has looked at it.
asio::awaitable<void> Supervisor::expire() {
  co_await pause(std::chrono::seconds(charge_.manifest.upkeep.ttl));
  if (journal_.record().state == State::quarantined) co_return;
  log_info("the time to live, {} s, is over: stopping", charge_.manifest.upkeep.ttl);
  ask({.timeout = kDefaultStopTimeout, .expired = true});
}

// A guest that goes on to write is not told of again at each of its writes.
bool Supervisor::has_disk_news() const {
  return machine_->disk_errors().count != disk_errors_told_ && std::chrono::steady_clock::now() >= disk_quiet_until_;
}

void Supervisor::note_disk_errors() {
  constexpr std::chrono::minutes kQuiet{1};
  const Machine::DiskErrors& errors = machine_->disk_errors();
  disk_errors_told_ = errors.count;
  disk_quiet_until_ = std::chrono::steady_clock::now() + kQuiet;
  const std::string detail = fmt::format("the guest's disk cannot be read or written on this host: {}",
                                         errors.reason.empty() ? "no reason is known" : errors.reason);
  log_warning("{}", detail);
  // One that could not be told yet says when it began.
  if (!untold_) untold_ = workspace::Event{journal_.record().state, detail, utc_timestamp(), workspace::kReasonDisk};
  tell_disk_errors();
}

// The disk that is full may be the one that has the record, too: then it is told once there is room.
void Supervisor::tell_disk_errors() {
  if (!untold_) return;
  const Status told = journal_.tell(*untold_);
  if (!told && told.error().kind == ErrorKind::resource_exhausted) return;
  if (!told) log_error("{}", told.error().message);
  untold_.reset();
}

asio::awaitable<Result<nlohmann::json>> Supervisor::pending_event() {
  co_return untold_ ? nlohmann::json{{"event", workspace::to_json(*untold_)}} : nlohmann::json::object();
}

// Told by `microagent supervise`, which asks the guest: here nothing of the guest's is read.
asio::awaitable<Status> Supervisor::note_health(bool healthy, std::string detail) {
  if (Status running = check_running(); !running) co_return running;
  const auto known = journal_.record().readiness.find("healthReady");
  const bool told = known != journal_.record().readiness.end() && known->second.ready == healthy;
  journal_.set_signal("healthReady", healthy, healthy ? detail : "", healthy ? "" : detail);
  if (told) co_return journal_.save();
  log_info("the guest is {}", healthy ? "healthy" : "unhealthy: " + detail);
  co_return journal_.note(healthy ? "healthy" : "unhealthy: " + detail, workspace::kReasonHealth);
}

}  // namespace microagent::supervisor

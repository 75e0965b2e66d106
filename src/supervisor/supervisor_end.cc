// Supervisor's end: what happened, who is to blame, and leaving nothing behind.

#include <unistd.h>

#include "base/log.h"
#include "supervisor/supervisor.h"

namespace microagent::supervisor {
namespace {

// How long others may take to end, or their last words to arrive, once one has ended.
constexpr std::chrono::milliseconds kSettling{5000};
constexpr std::chrono::milliseconds kPartingTime{2000};
constexpr std::chrono::milliseconds kReplyTime{5000};

std::optional<ChildEnd> end_of(const Worker* worker) { return worker != nullptr ? worker->end() : std::nullopt; }

bool is_clean(const ChildEnd& end) { return end.signal == 0 && end.code == 0; }

}  // namespace

// netd, mediator, QEMU.
std::array<std::optional<ChildEnd>, 3> Supervisor::ends() const {
  return {end_of(netd_.get()), end_of(mediator_.get()), machine_ ? machine_->worker().end() : std::nullopt};
}

bool Supervisor::all_ended() const {
  const bool netd = !netd_ || netd_->end();
  const bool mediator = !mediator_ || mediator_->end();
  return netd && mediator && (!machine_ || machine_->worker().end());
}

bool Supervisor::broken() const {
  if (find_culprit(ends())) return true;
  if (netd_link_ && netd_link_->fault()) return true;
  return mediator_link_ && (mediator_link_->fault() || mediator_link_->facts().failure);
}

// Finds out why the workspace is broken. Every wait here is for what follows from a death within milliseconds.
asio::awaitable<Ending> Supervisor::post_mortem() {
  using workspace::State;
  if (mediator_link_ && mediator_link_->facts().failure) {
    co_return Ending{State::failed, "the guest could not set itself up: " + *mediator_link_->facts().failure,
                     workspace::kReasonFailure};
  }
  // A worker that ends cleanly, or only hangs up, may be the second to go.
  co_await changes_.until(
      [this] {
        const auto culprit = find_culprit(ends());
        return culprit && (*culprit == 2 || !is_clean(*ends()[*culprit]));
      },
      in(kSettling));
  const auto culprit = find_culprit(ends());
  if (!culprit) {
    const bool netd = netd_link_ && netd_link_->fault();
    co_return Ending{State::failed, netd ? "netd: " + *netd_link_->fault() : "mediator: it hung up",
                     workspace::kReasonFailure};
  }
  if (*culprit == 2) {
    co_await changes_.until([this] { return machine_->drained(); }, in(kSettling));
    co_return judge_machine_end(*machine_->worker().end(), machine_->shutdown(), machine_->last_console_line(),
                                machine_->worker().obituary());
  }
  const Worker& worker = *culprit == 0 ? *netd_ : *mediator_;
  co_await changes_.until([&] { return worker.drained(); }, in(kSettling));
  co_return Ending{State::failed, worker.obituary(), workspace::kReasonFailure};
}

// QEMU first: nothing it still does matters. Then the others are told by hanging up, so that the mediator can write
// down how its flows ended; who does not go is killed.
asio::awaitable<void> Supervisor::wind_down() {
  if (publisher_) publisher_->close();
  if (provisions_) provisions_->ports.clear();
  if (machine_) {
    machine_->worker().kill();
    co_await changes_.until([this] { return machine_->worker().end().has_value(); }, in(kPartingTime));
  }
  if (netd_link_) netd_link_->close();
  if (mediator_link_) mediator_link_->close();
  if (co_await changes_.until([this] { return all_ended(); }, in(kPartingTime))) co_return;
  log_warning("a worker did not end by itself and is killed");
  for (Worker* worker : {netd_.get(), mediator_.get()}) {
    if (worker != nullptr) worker->kill();
  }
  co_await changes_.until([this] { return all_ended(); }, in(kPartingTime));
}

// Nothing has become of a workspace that was booted for a copy, whatever has become of the copy.
void Supervisor::end_copy(const Ending& ending) {
  if (ending.state != workspace::State::stopped) {
    copy_error_ =
        Error{ErrorKind::transient,
              "what was copied may be lost, since the guest that was booted for it did not end well: " + ending.detail,
              "copy it again"};
  }
  journal_.record() = *charge_.before;
}

// The order tells the truth to whoever looks at any moment: first everything is gone, then the record says so, then the
// lock is free, then the commands that wait are answered.
asio::awaitable<void> Supervisor::conclude(const Ending& ending) {
  ::unlinkat(charge_.directory.get(), workspace::kInitrdFile, 0);
  if (control_) control_->close();
  if (mediator_link_) note_facts();
  tell_disk_errors();
  forget_life(journal_.record());
  if (const Status entered = journal_.enter(ending.state, ending.detail, ending.reason); !entered) {
    log_error("{}", entered.error().message);
  }
  if (for_a_copy()) end_copy(ending);
  if (const Status saved = journal_.save(); !saved) log_error("{}", saved.error().message);
  if (provisions_) provisions_->volumes.clear();
  charge_.lock.fd.reset();
  if (leash_lost_ && charge_.discard) {
    if (const Status removed = store_.remove(charge_.manifest.name); !removed) log_error("{}", removed.error().message);
  }
  if (start_error_) reporter_.failed(*start_error_);
  finished_ = true;
  changes_.notify();
  if (!control_) co_return;
  co_await changes_.until([this] { return control_->pending() == 0; }, in(kReplyTime));
}

}  // namespace microagent::supervisor

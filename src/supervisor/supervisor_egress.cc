// What the supervisor does with its mediator on a person's behalf: a new policy, questions, quarantine.

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "supervisor/sealed_file.h"
#include "supervisor/supervisor.h"

namespace microagent::supervisor {

using workspace::State;
using Json = nlohmann::json;

// The command line has written the manifest and checked it. What is on disk is what counts: also after our own death.
asio::awaitable<Result<Json>> Supervisor::apply_policy() {
  if (Status running = check_running(); !running) co_return fail(running.error());
  auto manifest = store_.load_manifest(charge_.manifest.name);
  if (!manifest) co_return fail(manifest.error());
  auto file = sealed_file("microagent-egress-policy", workspace::to_json(manifest->egress).dump());
  if (!file) co_return fail(file.error());
  auto answer = co_await mediator_link_->request({{"ask", "policy"}}, std::move(*file));
  if (answer) charge_.manifest.egress = std::move(manifest->egress);
  co_return answer;
}

asio::awaitable<Result<Json>> Supervisor::ask_mediator(Json question) {
  if (journal_.record().state != State::quarantined) {
    if (Status running = check_running(); !running) co_return fail(running.error());
  }
  co_return co_await mediator_link_->request(std::move(question));
}

// The guest first, for what it does in the meantime would still get out; then all that leads to it. Each step is taken
// even if the one before it failed, and the workspace counts as quarantined only if all went well.
asio::awaitable<Result<Json>> Supervisor::quarantine() {
  quarantining_ = true;
  auto done = co_await freeze_and_sever();
  quarantining_ = false;
  changes_.notify();
  co_return done;
}

asio::awaitable<Result<Json>> Supervisor::freeze_and_sever() {
  if (journal_.record().state == State::quarantined) co_return Json::object();
  if (Status running = check_running(); !running) co_return fail(running.error());
  const bool frozen = co_await machine_->freeze();
  if (publisher_) publisher_->close();
  auto severed = co_await mediator_link_->request({{"ask", "quarantine"}});
  if (over()) co_return fail(ErrorKind::conflict, "the workspace ended while it was to be quarantined");
  if (!severed) co_return fail(severed.error());
  if (!frozen) {
    co_return fail(ErrorKind::permanent, "the workspace is severed, but QEMU does not say that the guest is frozen",
                   "end it with: microagent kill " + charge_.manifest.name);
  }
  if (Status entered = journal_.enter(State::quarantined, "severed and frozen on request"); !entered) {
    co_return fail(entered.error());
  }
  log_info("quarantined on request");
  co_return severed;
}

}  // namespace microagent::supervisor

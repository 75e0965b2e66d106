// What the supervisor publishes: at first what was declared, and later what is declared anew.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "supervisor/supervisor.h"

namespace microagent::supervisor {
namespace {

using workspace::Forward;

// Those of `some` that `others` has not got.
std::vector<Forward> without(const std::vector<Forward>& some, const std::vector<Forward>& others) {
  std::vector<Forward> rest;
  std::ranges::copy_if(some, std::back_inserter(rest),
                       [&](const Forward& forward) { return std::ranges::count(others, forward) == 0; });
  return rest;
}

std::vector<Forward> declared(const Publisher& publisher) {
  std::vector<Forward> all;
  for (const auto& port : publisher.published()) all.push_back(port.declared);
  return all;
}

// The real ports, in the order of their declarations.
std::vector<Forward> real(const Publisher& publisher, const std::vector<Forward>& order) {
  const auto published = publisher.published();
  std::vector<Forward> all;
  for (const Forward& forward : order) {
    for (const auto& port : published) {
      if (port.declared == forward) all.push_back(port.real);
    }
  }
  return all;
}

}  // namespace

Status Supervisor::publish(std::vector<BoundPort> ports) {
  for (BoundPort& port : ports) {
    if (Status published = publisher_->publish(std::move(port)); !published) return published;
  }
  return {};
}

// The command line has written the manifest and checked it.
asio::awaitable<Result<nlohmann::json>> Supervisor::apply_ports() {
  if (Status running = check_running(); !running) co_return fail(running.error());
  auto manifest = store_.load_manifest(charge_.manifest.name);
  if (!manifest) co_return fail(manifest.error());
  const std::vector<Forward>& wanted = manifest->network.forwards;
  const std::vector<Forward> had = declared(*publisher_);
  const Status replaced = replace_ports(without(had, wanted), without(wanted, had));
  if (replaced) charge_.manifest.network.forwards = wanted;
  journal_.record().forwards = real(*publisher_, charge_.manifest.network.forwards);
  const Status saved = journal_.save();
  if (!replaced) co_return fail(replaced.error());
  if (!saved) co_return fail(saved.error());
  co_return nlohmann::json();
}

// A port may go from one guest port to another, so what is given up goes first; where the rest cannot be had it is
// taken back.
Status Supervisor::replace_ports(const std::vector<Forward>& old, const std::vector<Forward>& fresh) {
  for (const Forward& forward : old) publisher_->unpublish(forward);
  const Status published = bind_and_publish(fresh);
  if (published) return published;
  for (const Forward& forward : fresh) publisher_->unpublish(forward);
  if (Status again = bind_and_publish(old); !again)
    log_error("a port that was published is lost: {}", again.error().message);
  return published;
}

Status Supervisor::bind_and_publish(const std::vector<Forward>& forwards) {
  auto ports = bind_ports(forwards);
  if (!ports) return fail(ports.error());
  return publish(std::move(*ports));
}

}  // namespace microagent::supervisor

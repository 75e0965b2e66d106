#include "mediator/upstream_pool.h"

#include <algorithm>
#include <utility>

namespace microagent::mediator {

void UpstreamPool::put(UpstreamKey key, UpstreamConnection connection) {
  if (!connection.is_ready()) return;
  const auto is_same = [&key](const Kept& kept) { return kept.key == key; };
  const bool too_many_same = std::ranges::count_if(kept_, is_same) >= static_cast<std::ptrdiff_t>(kMaxOfOneKey);
  if (too_many_same) kept_.erase(std::ranges::find_if(kept_, is_same));
  if (kept_.size() >= kMaxKept) kept_.pop_front();
  kept_.push_back({std::move(key), std::move(connection), std::chrono::steady_clock::now()});
  watch();
}

UpstreamConnection UpstreamPool::take(const UpstreamKey& key, const Fits& fits) {
  for (auto kept = kept_.end(); kept != kept_.begin();) {
    --kept;
    if (kept->key != key || !fits(kept->connection)) continue;
    auto connection = std::move(kept->connection);
    kept = kept_.erase(kept);
    if (connection.is_ready()) return connection;
  }
  return {};
}

bool UpstreamPool::leads_to(const std::string& address) const {
  return std::ranges::any_of(kept_, [&](const Kept& kept) { return kept.key.address == address; });
}

void UpstreamPool::watch() {
  if (std::exchange(sweeps_, true)) return;
  sweep_.expires_after(kSweep);
  sweep_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;  // this is gone, too
    sweeps_ = false;
    drop_old();
    if (!kept_.empty()) watch();
  });
}

void UpstreamPool::drop_old() {
  const auto now = std::chrono::steady_clock::now();
  kept_.remove_if([now](Kept& kept) { return now - kept.since >= kLongestIdle || !kept.connection.is_ready(); });
}

}  // namespace microagent::mediator

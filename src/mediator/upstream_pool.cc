#include "mediator/upstream_pool.h"

#include <algorithm>
#include <utility>

namespace microagent::mediator {

void UpstreamPool::put(UpstreamKey key, UpstreamConnection connection) {
  connection.heard = 0;
  if (!connection.is_ready()) return connection.part();
  const auto is_same = [&key](const KeptPtr& kept) { return kept->key == key; };
  const bool too_many_same = std::ranges::count_if(kept_, is_same) >= static_cast<std::ptrdiff_t>(kMaxOfOneKey);
  if (too_many_same) drop(*std::ranges::find_if(kept_, is_same));
  if (kept_.size() >= kMaxKept) drop(kept_.front());
  kept_.push_back(std::make_shared<Kept>(std::move(key), std::move(connection), std::chrono::steady_clock::now()));
  listen(kept_.back());
  sweep_later();
}

UpstreamConnection UpstreamPool::take(const UpstreamKey& key, const Fits& fits) {
  for (auto at = kept_.end(); at != kept_.begin();) {
    --at;
    if ((*at)->key != key || !fits((*at)->connection)) continue;
    auto connection = std::move((*at)->connection);
    at = kept_.erase(at);
    if (connection.is_ready()) return connection;
    connection.part();
  }
  return {};
}

bool UpstreamPool::leads_to(const std::string& address) const {
  return std::ranges::any_of(kept_, [&](const KeptPtr& kept) { return kept->key.address == address; });
}

void UpstreamPool::clear() {
  for (const KeptPtr& kept : kept_) kept->connection.part();
  kept_.clear();
}

// What is said is heard when it comes: an upstream that pings wants its answer, and one that ends its connection is not
// left with half of it. Whoever takes the connection finds nobody else at it, for then there is no Kept any more.
void UpstreamPool::listen(const KeptPtr& kept) {
  kept->connection.stream->descriptor().async_wait(
      Descriptor::wait_read, [this, rests = std::weak_ptr(kept)](const boost::system::error_code& error) {
        const KeptPtr here = rests.lock();
        if (error || !here) return;
        if (here->connection.is_ready()) return listen(here);
        drop(here);
      });
}

void UpstreamPool::drop(KeptPtr kept) {
  kept_.remove(kept);
  kept->connection.part();
}

void UpstreamPool::sweep_later() {
  if (std::exchange(sweeps_, true)) return;
  sweep_.expires_after(kSweep);
  sweep_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;  // this is gone, too
    sweeps_ = false;
    drop_old();
    if (!kept_.empty()) sweep_later();
  });
}

void UpstreamPool::drop_old() {
  const auto oldest = std::chrono::steady_clock::now() - kLongestIdle;
  while (!kept_.empty() && kept_.front()->since <= oldest) drop(kept_.front());
}

}  // namespace microagent::mediator

#include "credentials/keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

namespace microagent::credentials {
namespace {

// While its successor is being fetched, one that is still good is asked for again soon.
constexpr std::chrono::seconds kWhileRefreshing{1};

// A header or a query must hold it (RFC 9110, 5.5).
bool can_be_sent(std::string_view secret) {
  const auto is_visible = [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; };
  return !secret.empty() && is_visible(secret.front()) && is_visible(secret.back()) &&
         std::ranges::all_of(secret, [&](char c) { return c == ' ' || is_visible(c); });
}

// Rounded up: who asks again at its end must not be told of what is left of the last millisecond.
std::chrono::milliseconds between(Clock::time_point from, Clock::time_point to) {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(to - from), std::chrono::milliseconds(0));
}

}  // namespace

Keeper::Keeper(asio::any_io_executor executor, policy::SwapSet swaps, Make make, Now now)
    : executor_(std::move(executor)), make_(std::move(make)), now_(std::move(now)) {
  for (const policy::SwapPtr& swap : swaps.all()) entries_.push_back({.swap = swap});
}

asio::awaitable<Result<Credential>> Keeper::obtain(std::size_t swap, std::uint64_t refused) {
  if (swap >= entries_.size()) co_return fail(ErrorKind::not_found, "there is no such swap");
  Entry& entry = entries_[swap];
  // Where nothing else is to be had for now, one that the upstream refused is as good as any.
  if (is_usable(entry) && (must_pause(entry) || !take_refusal(entry, refused))) {
    if (now_() >= entry.refresh_at && !entry.flight && !must_pause(entry)) begin(entry);
    co_return credential(entry);
  }
  if (!entry.flight && must_pause(entry)) co_return fail(entry.error);
  const std::shared_ptr<Flight> flight = entry.flight ? entry.flight : begin(entry);
  while (!flight->result) co_await flight->landed.async_wait(kAsTuple);
  co_return *flight->result;
}

// A refusal of what is not in use any more says nothing of what is.
bool Keeper::take_refusal(Entry& entry, std::uint64_t refused) const {
  if (refused == 0 || refused != entry.version) return false;
  if (entry.forced_at && now_() < *entry.forced_at + kBetweenForced) return false;
  entry.forced_at = now_();
  return true;
}

Credential Keeper::credential(const Entry& entry) const {
  const auto now = now_();
  const auto fresh = now < entry.refresh_at
                         ? between(now, entry.refresh_at)
                         : std::min(between(now, entry.usable_until), std::chrono::milliseconds(kWhileRefreshing));
  return {entry.secret, entry.version, fresh};
}

// It may have landed when this returns: what needs no waiting is done at once.
std::shared_ptr<Keeper::Flight> Keeper::begin(Entry& entry) {
  auto flight = std::make_shared<Flight>(executor_);
  entry.flight = flight;
  asio::co_spawn(executor_, fly(entry, flight), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  return flight;
}

asio::awaitable<void> Keeper::fly(Entry& entry, std::shared_ptr<Flight> flight) {
  auto made = co_await make_(*entry.swap);
  flight->result = land(entry, std::move(made));
  entry.flight.reset();
  flight->landed.cancel();
}

Result<Credential> Keeper::land(Entry& entry, Result<Minted> made) {
  const auto now = now_();
  if (made && !can_be_sent(made->secret.view())) {
    made = fail(ErrorKind::permanent, "the secret holds a line break or another character that no header may hold");
  }
  if (!made) {
    entry.error = std::move(made).error();
    const std::chrono::seconds pause(std::int64_t{1} << std::min(entry.failures, 6U));
    entry.retry_at = now + std::min(pause, kLongestPause);
    ++entry.failures;
    if (is_usable(entry)) return credential(entry);
    return fail(entry.error);
  }
  entry.failures = 0;
  entry.usable_until = now + made->usable;
  entry.refresh_at = now + made->refresh_after;
  if (!entry.secret || entry.secret->view() != made->secret.view()) {
    entry.secret = std::make_shared<const Secret>(std::move(made->secret));
    ++entry.version;
  }
  return credential(entry);
}

}  // namespace microagent::credentials

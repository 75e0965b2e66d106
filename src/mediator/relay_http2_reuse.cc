// Where one connection to the upstream gives way to another: the relay begins with one that was another flow's, leaves
// its own for the next, and takes a new one where the old one ends while nobody uses it, or where that of another flow
// fails before it has answered anything.

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>
#include <vector>

#include "mediator/relay_http2_impl.h"

namespace microagent::mediator {

// The next flow may go on with it, where this one has nothing under way.
bool Http2Relay::leave_upstream() {
  if (upstream_gone_ || !passages_.empty()) return false;
  auto session = upstream_.take_session();
  if (!session) return false;
  gate_.leave_session(std::move(*session));
  gate_.leave_upstream_clean();
  return true;
}

void Http2Relay::on_upstream_pong() {
  trial_.on_pong();
  open_waiting();
}

void Http2Relay::on_upstream_settings() {
  if (upstream_.session().peer_takes_connect_protocol()) guest_.session().offer_connect_protocol();
  open_waiting();
}

bool Http2Relay::may_be_risked(const Passage& passage) { return is_all_here(passage) && may_repeat(passage.request); }

// The guest waits for what the upstream says on it.
bool Http2Relay::is_under_way(const Passage& passage) {
  return passage.upstream != 0 && !passage.upstream_closed && !passage.guest_closed;
}

bool Http2Relay::is_upstream_wanted() const {
  const auto waits = [this](StreamId stream) {
    const auto found = passages_.find(stream);
    return found != passages_.end() && !found->second.guest_closed;
  };
  const auto is_asked = [](const auto& entry) { return is_under_way(entry.second); };
  return std::ranges::any_of(queue_, waits) || std::ranges::any_of(passages_, is_asked);
}

// The last flow's connection may have ended before this flow began; any other may end while nobody uses it.
bool Http2Relay::may_change_upstream() const {
  if (trial_.lasts()) return true;
  const auto is_asked = [](const auto& entry) { return is_under_way(entry.second); };
  return gate_.can_replace_upstream() && !upstream_gone_ && std::ranges::none_of(passages_, is_asked);
}

void Http2Relay::change_upstream() {
  changes_ = true;
  trial_.give_up();
}

// The guest's connection lives on, and the next request goes over a new one of the upstream's; false where none can be
// had. Nothing is dialled before somebody wants it: servers end the connections of clients that are idle.
asio::awaitable<bool> Http2Relay::renew_upstream() {
  changes_ = true;
  recall(false);
  upstream_.session().terminate(Http2Error::no_error);
  on_turn();
  co_await upstream_.say_farewell();
  upstream_.let_go();
  gate_.drop_upstream();
  while (!is_upstream_wanted()) {
    wanted_.expires_at(kNever);
    co_await wanted_.async_wait(kAsTuple);
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return false;
  }
  const auto stream = co_await gate_.replace_upstream();
  if (!stream) {
    trouble_ = stream.error();
    co_return false;
  }
  changes_ = has_answered_ = false;
  trial_.renew();
  upstream_.renew(**stream, upstream_session());
  open_waiting();
  on_turn();
  co_return true;
}

// Takes back what may be sent on another connection: where the upstream has said that it looked at nothing,
// everything that can be said again, and otherwise what may be made twice.
void Http2Relay::recall(bool untouched) {
  std::vector<StreamId> again, lost;
  for (auto& [id, passage] : passages_) {
    if (std::exchange(passage.upstream, 0) == 0 || passage.upstream_closed) continue;
    const bool may_go = passage.repeatable && (untouched || may_repeat(passage.request));
    (may_go && !passage.guest_closed ? again : lost).push_back(id);
  }
  by_upstream_.clear();
  std::ranges::sort(again);
  queue_.insert(queue_.begin(), again.begin(), again.end());
  for (const StreamId id : lost) lose(passages_.at(id), untouched);
}

void Http2Relay::lose(Passage& passage, bool untouched) {
  if (passage.guest_closed) return settle(passage);
  if (!passage.story.error.empty()) return;  // its end is on its way to the guest
  if (untouched) return refuse_retryable(passage);
  fail(passage, kUpstreamEnded);
}

// What it did not look at may be tried again, by the guest and on another connection. One that has never answered goes
// on turning requests away, perhaps: what it turns away is the guest's to ask again.
void Http2Relay::on_upstream_goaway(StreamId last) {
  if (changes_) return;
  const auto is_taken = [last](const auto& entry) {
    return is_under_way(entry.second) && entry.second.upstream <= last;
  };
  const bool has_served = has_answered_ || !is_upstream_wanted();
  const bool may_change = trial_.lasts() || (gate_.can_replace_upstream() && !upstream_gone_ && has_served);
  if (may_change && std::ranges::none_of(passages_, is_taken)) {
    recall(true);
    return change_upstream();
  }
  upstream_gone_ = true;
  guest_.session().announce_shutdown();
  for (auto& [id, passage] : passages_) {
    const bool is_looked_at = passage.upstream != 0 && passage.upstream <= last;
    if (!is_looked_at && !passage.response_begun) refuse_retryable(passage);
  }
  queue_.clear();
  guest_.session().goaway(Http2Error::no_error);
}

}  // namespace microagent::mediator

// Where one connection to the upstream gives way to another: the relay begins with one that was another flow's, leaves
// its own for the next, and takes a new one where the old one fails or goes away before it has answered anything.

#include <algorithm>
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

// The last flow's connection has failed before its first answer. Requests wait meanwhile.
asio::awaitable<void> Http2Relay::replace_upstream() {
  recall(false);
  trial_.end();
  upstream_.session().terminate(Http2Error::no_error);
  upstream_.let_go();
  const auto stream = co_await gate_.replace_upstream();
  if (!stream) co_return void(trouble_ = stream.error());
  upstream_.renew(**stream, upstream_session());
  open_waiting();
  on_turn();
}

// Takes back what may be sent on another connection: where the upstream has said that it looked at nothing,
// everything that can be said again, and otherwise what may be made twice.
void Http2Relay::recall(bool untouched) {
  std::vector<StreamId> again, lost;
  for (auto& [id, passage] : passages_) {
    if (std::exchange(passage.upstream, 0) == 0) continue;
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

// What it did not look at may be tried again, by the guest and on another connection.
void Http2Relay::on_upstream_goaway(StreamId last) {
  const auto is_taken = [last](const auto& entry) {
    return entry.second.upstream != 0 && entry.second.upstream <= last;
  };
  if (trial_.lasts() && std::ranges::none_of(passages_, is_taken)) {
    recall(true);
    return trial_.give_up();
  }
  upstream_gone_ = true;
  guest_.session().announce_shutdown();
  for (auto& entry : passages_) {
    if (!is_taken(entry) && !entry.second.response_begun) refuse_retryable(entry.second);
  }
  queue_.clear();
  guest_.session().goaway(Http2Error::no_error);
}

}  // namespace microagent::mediator

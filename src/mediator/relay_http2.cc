// The life of an HTTP/2 relay's two connections (relay_http2_impl.h).

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "mediator/relay.h"
#include "mediator/relay_http2_impl.h"

namespace microagent::mediator {

Http2Relay::Http2Relay(Stream& guest, Stream& upstream, std::optional<http::Http2Session> kept, http::Scheme scheme,
                       RequestGate& gate)
    : gate_(gate),
      scheme_(scheme),
      guest_(guest, guest_session(kept && kept->peer_takes_connect_protocol()), *this),
      trial_(guest.descriptor().get_executor(), kept.has_value()),
      upstream_(upstream, kept ? std::move(*kept) : upstream_session(), *this),
      equip_wake_(guest.descriptor().get_executor()),
      wanted_(guest.descriptor().get_executor()) {
  if (trial_.lasts()) UpstreamTrial::begin(upstream_.session(), upstream_events_);
}

Http2Relay::~Http2Relay() {
  for (auto& [id, passage] : passages_) {
    if (passage.story.error.empty()) passage.story.error = "the guest's connection ended";
    gate_.record(passage.story);
  }
}

http::Http2Session Http2Relay::guest_session(bool connect_protocol) {
  return {{http::Http2Session::Role::server, connect_protocol, limits_of(gate_)}, guest_events_};
}

http::Http2Session Http2Relay::upstream_session() {
  return {{http::Http2Session::Role::client, false, limits_of(gate_)}, upstream_events_};
}

asio::awaitable<void> Http2Relay::run() {
  using namespace asio::experimental::awaitable_operators;
  co_await (guest_.serve() || serve_upstream() || equip_waiting());
  const bool left = leave_upstream();
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  if (const auto limit = guest_.session().hit_limit(); limit != http::Http2Limit::none) {
    gate_.refuse_malformed(std::string(to_string(limit)), false);
  }
  if (left) co_return co_await guest_.say_farewell();
  upstream_.session().terminate(Http2Error::no_error);
  co_await (guest_.say_farewell() && upstream_.say_farewell());
}

// One connection after the other, until one ends within a request or none takes its place.
asio::awaitable<void> Http2Relay::serve_upstream() {
  using namespace asio::experimental::awaitable_operators;
  do {
    co_await (upstream_.serve() || trial_.until_given_up());
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  } while ((changes_ || trial_.lasts()) && co_await renew_upstream());
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  end_upstream();
  co_await drain();
}

// What is left of the answers, as long as the guest goes on taking it.
asio::awaitable<void> Http2Relay::drain() {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (std::uint64_t before = guest_.written() + 1; before != guest_.written();) {
    before = guest_.written();
    timer.expires_after(gate_.patience());
    co_await timer.async_wait(kAsTuple);
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
  for (auto& [id, passage] : passages_) {
    if (passage.story.error.empty()) passage.story.error = "the guest did not take the answer";
  }
}

void Http2Relay::on_turn() {
  guest_.end_streams();
  upstream_.end_streams();
  guest_.wake();
  upstream_.wake();
}

void Http2Relay::on_ended(Http2Link& link) {
  if (&link == &upstream_ && may_change_upstream()) change_upstream();
}

void Http2Relay::on_broken(Http2Link& link) {
  if (&link != &upstream_) return;
  if (may_change_upstream()) return change_upstream();
  end_upstream();
}

// The guest's streams go on to their ends: with what is here of their responses where that is all, or with an error.
void Http2Relay::end_upstream() {
  if (std::exchange(upstream_ended_, true)) return;
  upstream_gone_ = true;
  if (const http::Http2Limit limit = upstream_.session().hit_limit(); limit != http::Http2Limit::none) {
    trouble_ = "the upstream's HTTP/2: " + std::string(to_string(limit));
  }
  if (trouble_.empty()) trouble_ = kUpstreamEnded;
  for (auto& [id, passage] : passages_) end_early(passage, trouble_);
  queue_.clear();
  guest_.session().goaway(Http2Error::no_error);
  on_turn();
}

Passage* Http2Relay::find(StreamId guest) {
  const auto found = passages_.find(guest);
  return found == passages_.end() ? nullptr : &found->second;
}

Passage* Http2Relay::find_upstream(StreamId upstream) {
  const auto found = by_upstream_.find(upstream);
  return found == by_upstream_.end() ? nullptr : find(found->second);
}

asio::awaitable<void> relay_http2(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate) {
  Http2Relay relay(guest, upstream, gate.take_session(), scheme, gate);
  co_await relay.run();
}

}  // namespace microagent::mediator

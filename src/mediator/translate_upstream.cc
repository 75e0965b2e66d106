// HTTP/1 with a guest, HTTP/2 with its upstream: the life of the connections to that.

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <limits>
#include <utility>

#include "mediator/passage.h"
#include "mediator/pipe.h"
#include "mediator/translate_upstream_impl.h"

namespace microagent::mediator {
namespace {

using namespace asio::experimental::awaitable_operators;

constexpr int kMaxConnections = 2;  // that one request is tried on

}  // namespace

Http2Upstream::Http2Upstream(Stream& upstream, http::Scheme scheme, RequestGate& gate)
    : stream_(&upstream),
      gate_(gate),
      scheme_(scheme),
      trial_(upstream.descriptor().get_executor(), false),
      news_(upstream.descriptor().get_executor(), kNever) {}

asio::awaitable<void> Http2Upstream::serve(StreamPtr far) {
  co_await serve_connections(*far);
  far.reset();
  co_await forever();
}

bool Http2Upstream::leave() {
  if (!link_ || gone_) return false;
  if (exchange_) link_->session().consume(exchange_->stream, std::numeric_limits<std::size_t>::max());
  auto session = link_->take_session();
  if (!session) return false;
  gate_.leave_session(std::move(*session));
  gate_.leave_upstream_clean();
  return true;
}

asio::awaitable<void> Http2Upstream::say_farewell() {
  if (!link_ || gone_) co_return;
  link_->session().terminate(Http2Error::no_error);
  co_await link_->say_farewell();
}

asio::awaitable<void> Http2Upstream::serve_connections(Stream& far) {
  Inflow from_relay(far);
  auto session = gate_.take_session();
  for (;;) {
    gone_ = false;
    left_ = 0;
    trial_ = UpstreamTrial(news_.get_executor(), session.has_value());
    link_.emplace(*stream_, session ? std::move(*session) : new_session(), *this);
    if (trial_.lasts()) UpstreamTrial::begin(link_->session(), *this);
    session.reset();
    co_await (serve_requests(from_relay) || serve_link() || watch_trial());
    if (over_ || is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    link_.reset();
    const auto stream = co_await gate_.replace_upstream();
    if (!stream) co_return void(trouble_ = stream.error());
    stream_ = *stream;
  }
}

http::Http2Session Http2Upstream::new_session() {
  return {{http::Http2Session::Role::client, false, limits_of(gate_)}, *this};
}

asio::awaitable<void> Http2Upstream::serve_link() {
  co_await link_->serve();
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  end_connection();
  co_await forever();
}

asio::awaitable<void> Http2Upstream::watch_trial() {
  co_await trial_.until_given_up();
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  end_connection();
  co_await forever();
}

void Http2Upstream::end_connection() {
  gone_ = true;
  tell();
}

void Http2Upstream::on_pong(std::uint64_t) {
  trial_.on_pong();
  tell();
}

void Http2Upstream::on_turn() {
  link_->end_streams();
  link_->wake();
}

void Http2Upstream::on_broken(Http2Link& link) {
  fail("the upstream's HTTP/2: " + std::string(to_string(link.session().hit_limit())));
  end_connection();
}

// Until there are no more, or the connection will not do for the next.
asio::awaitable<void> Http2Upstream::serve_requests(Inflow& from_relay) {
  for (;;) {
    if (!exchange_ && !co_await read_request(from_relay)) co_return end();
    co_await leave_last();
    Outcome outcome = Outcome::again;
    if (co_await may_begin()) outcome = co_await carry(from_relay);
    if (outcome == Outcome::over) co_return end();
    if (outcome == Outcome::done) {
      exchange_.reset();
      tried_ = 0;
      continue;
    }
    if (++tried_ < kMaxConnections) co_return;
    if (trouble_.empty()) trouble_ = "the upstream takes no request on its connection";
    co_return end();
  }
}

void Http2Upstream::end() { over_ = true; }

void Http2Upstream::drop() {
  link_->end_later(exchange_->stream, Http2Error::cancel);
  on_turn();
}

void Http2Upstream::fail(std::string why) {
  if (exchange_) exchange_->failed = true;
  if (trouble_.empty()) trouble_ = std::move(why);
  tell();
}

bool Http2Upstream::is_current(StreamId stream) const {
  return exchange_ && exchange_->stream == stream && !exchange_->failed;
}

asio::awaitable<bool> Http2Upstream::has_news(Deadline deadline) {
  if (deadline != kNever) co_return co_await has_news_by(deadline);
  co_await news_.async_wait(kAsTuple);
  co_return !is_cancelled(co_await asio::this_coro::cancellation_state);
}

asio::awaitable<bool> Http2Upstream::has_news_by(Deadline deadline) {
  asio::steady_timer patience(news_.get_executor(), deadline);
  const auto first = co_await (news_.async_wait(kAsTuple) || patience.async_wait(kAsTuple));
  co_return first.index() == 0 && !is_cancelled(co_await asio::this_coro::cancellation_state);
}

asio::awaitable<void> relay_http1_to_http2(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate) {
  auto pipe = open_pipe(guest.descriptor().get_executor());
  if (!pipe) co_return co_await answer_with_failure(guest, pipe.error().message, gate);
  Http2Upstream translator(upstream, scheme, gate);
  const Http1Upstream near{pipe->near.get(), &translator.trouble()};
  co_await (relay_http1(guest, near, scheme, gate) || translator.serve(std::move(pipe->far)));
  if (translator.leave() || is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  co_await translator.say_farewell();
}

}  // namespace microagent::mediator

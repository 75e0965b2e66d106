// From the relay of HTTP/1 to the upstream: a request becomes a stream.

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>

#include "base/ascii.h"
#include "http/head_reader.h"
#include "http/http2_message.h"
#include "mediator/translate_upstream_impl.h"

namespace microagent::mediator {
namespace {

using namespace asio::experimental::awaitable_operators;

constexpr std::size_t kMaxAhead = 256 * 1024;  // of a request, that the upstream has not taken

// What has a body would have it taken for the first of the other protocol.
bool asks_websocket(const http::RequestMessage& request) {
  return asks_upgrade(request) && to_lower_ascii(header_value(request.headers, "upgrade")) == "websocket" &&
         request_framing(request).kind == http::Framing::Kind::none;
}

}  // namespace

// The relay has seen to it that they are sound.
asio::awaitable<bool> Http2Upstream::read_request(Inflow& from_relay) {
  http::RequestReader reader(scheme_);
  while (reader.state() == http::HeadReader::State::incomplete) {
    if (!co_await from_relay.fill(kNever)) co_return false;
    from_relay.take(reader.feed(from_relay.bytes()));
  }
  if (reader.state() == http::HeadReader::State::failed) {
    trouble_ = "the request cannot be sent on: " + std::string(to_string(reader.fault()));
    co_return false;
  }
  exchange_.emplace().request = reader.take();
  co_return true;
}

// The last request, whose response has come before the upstream took all of it: it has a while to take the rest.
asio::awaitable<void> Http2Upstream::leave_last() {
  const Deadline deadline = in(std::min(kOpenTimeout, gate_.patience()));
  while (!gone_ && link_->session().queued(left_) > 0 && co_await has_news(deadline)) continue;
  if (link_->session().queued(left_) > 0) {
    link_->end_later(left_, Http2Error::cancel);
    on_turn();
  }
  left_ = 0;
}

// Whether a stream can begin. What the upstream takes of WebSocket, its settings say.
asio::awaitable<bool> Http2Upstream::may_begin() {
  const Deadline deadline = in(kOpenTimeout);
  const bool needs_settings = asks_websocket(exchange_->request);
  for (;;) {
    if (gone_) co_return false;
    const http::Http2Session& session = link_->session();
    const bool is_risky = trial_.is_doubtful() && !may_repeat(exchange_->request);
    if (session.may_open() && (!needs_settings || session.has_peer_settings()) && !is_risky) co_return true;
    if (going_away() || !co_await has_news(deadline)) co_return false;
  }
}

// No stream is open, and none may be: there is nothing to wait for.
bool Http2Upstream::going_away() const { return link_->session().has_peer_settings() && !link_->session().may_open(); }

asio::awaitable<Http2Upstream::Outcome> Http2Upstream::carry(Inflow& from_relay) {
  TranslatedExchange& exchange = *exchange_;
  TranslatedExchange fresh;
  fresh.request = std::move(exchange.request);
  exchange = std::move(fresh);
  trouble_.clear();
  http::BodyReader body(request_framing(exchange.request));
  exchange.sent = body.done() && !opens_tunnel(exchange.request);
  const auto stream = link_->session().submit_request(fields_of(exchange.request), exchange.sent);
  if (!stream) {
    trouble_ = "the request cannot be sent on";
    co_return Outcome::over;
  }
  exchange.stream = *stream;
  on_turn();
  co_await (send_body(from_relay, body) || give_response(from_relay.stream()));
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return Outcome::over;
  const bool may_go_again = exchange.refused || (trial_.lasts() && may_repeat(exchange.request));
  if (may_go_again && !exchange.ended && !exchange.begun && !exchange.taken) co_return Outcome::again;
  if (!exchange.ended) co_return Outcome::over;
  if (!exchange.sent) {
    link_->end_later(exchange.stream, Http2Error::cancel);
    on_turn();
  }
  left_ = exchange.stream;
  const bool lasts = exchange.request.version == http::Version::http_1_1 && !exchange.tunnels;
  if (exchange.sent && lasts) co_return Outcome::done;
  co_await from_relay.stream().finish();
  co_return Outcome::over;
}

bool Http2Upstream::opens_tunnel(const http::RequestMessage& request) const {
  return asks_websocket(request) && link_->session().peer_takes_connect_protocol();
}

// One that takes no WebSocket over HTTP/2 is asked without the upgrade, and may say what it thinks of that.
http::HeaderList Http2Upstream::fields_of(http::RequestMessage& request) const {
  if (opens_tunnel(request)) {
    const http::HeaderList fields = http2_fields(request);
    request.protocol = "websocket";
    return fields;
  }
  request.protocol.clear();
  http::RequestMessage plain = request;
  http::remove_header(plain.headers, "upgrade");
  return http2_fields(plain);
}

// Returns only when the relay has nothing more to say, before its time.
asio::awaitable<void> Http2Upstream::send_body(Inflow& from_relay, http::BodyReader& body) {
  TranslatedExchange& exchange = *exchange_;
  while (!body.done()) {
    if (!co_await from_relay.fill(kNever)) co_return drop();
    exchange.taken = true;
    const http::BodyReader::Piece piece = body.next(from_relay.bytes());
    if (body.fault() != http::BodyFault::none) co_return drop();
    if (piece.payload && !co_await send(from_relay.bytes().first(piece.size))) co_await forever();
    from_relay.take(piece.size);
  }
  if (!exchange.sent && !exchange.request.protocol.empty()) co_return co_await send_bytes(from_relay);
  if (!exchange.sent) {
    exchange.sent = link_->session().send_trailers(exchange.stream, http::http2_trailers(body.trailers()));
    on_turn();
  }
  co_await forever();
}

// Of the other protocol, once it is there.
asio::awaitable<void> Http2Upstream::send_bytes(Inflow& from_relay) {
  while (!exchange_->tunnels) {
    if (!co_await has_news(kNever)) co_return;
  }
  while (co_await from_relay.fill(kNever)) {
    if (!co_await send(from_relay.bytes())) co_await forever();
    from_relay.take(from_relay.bytes().size());
  }
  if (from_relay.end() != StreamEnd::finished) co_return drop();
  exchange_->sent = link_->session().send_data(exchange_->stream, {}, true);
  on_turn();
  co_await forever();
}

asio::awaitable<bool> Http2Upstream::send(ByteView bytes) {
  const StreamId stream = exchange_->stream;
  while (link_->session().queued(stream) > kMaxAhead) {
    if (!co_await has_news(kNever)) co_return false;
  }
  const bool sent = link_->session().send_data(stream, bytes, false);
  on_turn();
  co_return sent;
}

}  // namespace microagent::mediator

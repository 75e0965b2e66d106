// HTTP/1 with a guest whose upstream speaks HTTP/2 alone.
//
// The guest has an ordinary relay (relay_http1.cc), whose upstream is a pipe. At the other end of that every request,
// which has been judged and is sound, becomes a stream of HTTP/2: one at a time, as HTTP/1 has it. The connection goes
// on from one to the next, and another takes its place where its server wants no more streams on it (GOAWAY): a stream
// that it has not looked at is tried again.

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "http/body_reader.h"
#include "http/body_writer.h"
#include "http/head_reader.h"
#include "http/http2_message.h"
#include "http/websocket.h"
#include "mediator/http2_link.h"
#include "mediator/inflow.h"
#include "mediator/passage.h"
#include "mediator/pipe.h"
#include "mediator/relay.h"
#include "mediator/upstream_trial.h"

namespace microagent::mediator {
namespace {

using namespace asio::experimental::awaitable_operators;
using http::Framing;
using http::Http2Error;
using http::StreamId;

constexpr std::size_t kMaxAhead = 256 * 1024;              // of a request, that the upstream has not taken
constexpr std::size_t kMaxInterimAhead = 64 * 1024;        // of a response, that the guest has not taken
constexpr std::chrono::milliseconds kOpenTimeout{10'000};  // for the upstream to let a stream begin
constexpr int kMaxConnections = 2;                         // that one request is tried on

// What has a body would have it taken for the first of the other protocol.
bool asks_websocket(const http::RequestMessage& request) {
  return asks_upgrade(request) && to_lower_ascii(header_value(request.headers, "upgrade")) == "websocket" &&
         request_framing(request).kind == Framing::Kind::none;
}

// One request and what has come of it.
struct Exchange {
  http::RequestMessage request;
  StreamId stream = 0;
  bool tunnels = false;               // its response has opened another protocol
  bool taken = false;                 // some of its body is gone, and cannot be said again
  bool sent = false;                  // and this is all of it
  bool begun = false, ended = false;  // the response
  bool refused = false;               // the upstream has not looked at it
  bool failed = false;
  std::optional<http::BodyWriter> body;  // how the response's goes on; nothing: it has none
};

class Http2Upstream final : public http::Http2Events, public Http2Link::Owner {
 public:
  Http2Upstream(Stream& upstream, http::Scheme scheme, RequestGate& gate)
      : stream_(&upstream),
        gate_(gate),
        scheme_(scheme),
        trial_(upstream.descriptor().get_executor(), false),
        news_(upstream.descriptor().get_executor(), kNever) {}

  // Why there is no response; empty while nothing is wrong.
  const std::string& trouble() const { return trouble_; }

  // Answers what the relay asks at `far`, until it is cancelled.
  asio::awaitable<void> serve(StreamPtr far) {
    co_await serve_connections(*far);
    far.reset();
    co_await forever();
  }

  // The next flow may go on with the connection, where nothing is under way.
  bool leave() {
    if (!link_ || gone_) return false;
    if (exchange_) link_->session().consume(exchange_->stream, std::numeric_limits<std::size_t>::max());
    auto session = link_->take_session();
    if (!session) return false;
    gate_.leave_session(std::move(*session));
    gate_.leave_upstream_clean();
    return true;
  }

  asio::awaitable<void> say_farewell() {
    if (!link_ || gone_) co_return;
    link_->session().terminate(Http2Error::no_error);
    co_await link_->say_farewell();
  }

  // ---- what the upstream sends

  void on_headers(StreamId stream, http::HeaderList fields, bool end) override {
    if (!is_current(stream)) return;
    trial_.end();
    http::ResponseMessage response;
    if (const auto fault = http::parse_http2_response(fields, response); fault != http::MessageFault::none) {
      link_->end_later(stream, Http2Error::protocol_error);
      return fail("the upstream's response: " + std::string(to_string(fault)));
    }
    exchange_->begun = true;
    const bool opens = !exchange_->request.protocol.empty() && response.status / 100 == 2;
    if (opens) begin_tunnel(std::move(response));
    else begin_response(response, end);
    if (end) end_response({});
    tell();
  }

  // There may be any number of them, and no window holds them back: a guest that does not read them misses some.
  void on_informational(StreamId stream, http::HeaderList fields) override {
    trial_.end();
    http::ResponseMessage response;
    if (!is_current(stream) || exchange_->request.version == http::Version::http_1_0) return;
    if (out_.size() > kMaxInterimAhead) return;
    if (parse_http2_response(fields, response) != http::MessageFault::none) return;
    append(encode_head(as_http1(response, exchange_->request, false)));
    tell();
  }

  void on_data(StreamId stream, ByteView bytes, bool end) override {
    if (!is_current(stream)) return link_->session().consume(stream, bytes.size());
    if (exchange_->tunnels) out_.insert(out_.end(), bytes.begin(), bytes.end());
    else if (exchange_->body) exchange_->body->append(out_, bytes);
    unconsumed_ += bytes.size();
    if (end) end_response({});
    tell();
  }

  void on_trailers(StreamId stream, http::HeaderList fields) override {
    if (!is_current(stream)) return;
    end_response(fields);
    tell();
  }

  void on_reset(StreamId stream, Http2Error error) override {
    if (!is_current(stream) || exchange_->ended) return;
    exchange_->refused = error == Http2Error::refused_stream;
    if (!exchange_->refused) trial_.end();
    fail("the upstream reset the stream: " + std::string(to_string(error)));
  }

  void on_closed(StreamId stream) override {
    if (is_current(stream) && !exchange_->ended) fail("the upstream ended the stream");
  }

  void on_sent(StreamId, std::size_t) override { tell(); }
  void on_goaway(StreamId, Http2Error) override { tell(); }
  void on_settings() override { tell(); }
  void on_pong(std::uint64_t) override {
    trial_.on_pong();
    tell();
  }

  void on_turn() override {
    link_->end_streams();
    link_->wake();
  }

  void on_broken(Http2Link& link) override {
    fail("the upstream's HTTP/2: " + std::string(to_string(link.session().hit_limit())));
    end_connection();
  }

 private:
  enum class Outcome : std::uint8_t {
    done,   // the next request may come
    over,   // none will
    again,  // on another connection
  };

  asio::awaitable<void> serve_connections(Stream& far) {
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

  http::Http2Session new_session() { return {{http::Http2Session::Role::client, false, limits_of(gate_)}, *this}; }

  asio::awaitable<void> serve_link() {
    co_await link_->serve();
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    end_connection();
    co_await forever();
  }

  asio::awaitable<void> watch_trial() {
    co_await trial_.until_given_up();
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    end_connection();
    co_await forever();
  }

  void end_connection() {
    gone_ = true;
    tell();
  }

  // Until there are no more, or the connection will not do for the next.
  asio::awaitable<void> serve_requests(Inflow& from_relay) {
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

  void end() { over_ = true; }

  // The relay has seen to it that they are sound.
  asio::awaitable<bool> read_request(Inflow& from_relay) {
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
  asio::awaitable<void> leave_last() {
    const Deadline deadline = in(std::min(kOpenTimeout, gate_.patience()));
    while (!gone_ && link_->session().queued(left_) > 0 && co_await has_news(deadline)) continue;
    if (link_->session().queued(left_) > 0) {
      link_->end_later(left_, Http2Error::cancel);
      on_turn();
    }
    left_ = 0;
  }

  // Whether a stream can begin. What the upstream takes of WebSocket, its settings say.
  asio::awaitable<bool> may_begin() {
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
  bool going_away() const { return link_->session().has_peer_settings() && !link_->session().may_open(); }

  asio::awaitable<Outcome> carry(Inflow& from_relay) {
    Exchange& exchange = *exchange_;
    Exchange fresh;
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

  bool opens_tunnel(const http::RequestMessage& request) const {
    return asks_websocket(request) && link_->session().peer_takes_connect_protocol();
  }

  // One that takes no WebSocket over HTTP/2 is asked without the upgrade, and may say what it thinks of that.
  http::HeaderList fields_of(http::RequestMessage& request) const {
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
  asio::awaitable<void> send_body(Inflow& from_relay, http::BodyReader& body) {
    Exchange& exchange = *exchange_;
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
  asio::awaitable<void> send_bytes(Inflow& from_relay) {
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

  asio::awaitable<bool> send(ByteView bytes) {
    const StreamId stream = exchange_->stream;
    while (link_->session().queued(stream) > kMaxAhead) {
      if (!co_await has_news(kNever)) co_return false;
    }
    const bool sent = link_->session().send_data(stream, bytes, false);
    on_turn();
    co_return sent;
  }

  // To the relay; what has been given may be followed by as much.
  asio::awaitable<void> give_response(Stream& relay) {
    for (;;) {
      if (!out_.empty() || unconsumed_ > 0) {
        const auto out = std::exchange(out_, {});
        const std::size_t came = std::exchange(unconsumed_, 0);
        const bool given = out.empty() || co_await relay.write_all(out, kNever);
        link_->session().consume(exchange_->stream, came);
        on_turn();
        if (!given) co_return drop();
        continue;
      }
      if (exchange_->ended || exchange_->failed) co_return;
      if (gone_) co_return fail("the upstream ended the connection");
      if (!co_await has_news(kNever)) co_return;
    }
  }

  void begin_response(const http::ResponseMessage& response, bool end) {
    const http::ResponseMessage message = as_http1(response, exchange_->request, !end);
    append(encode_head(message));
    const Framing::Kind kind = response_framing(exchange_->request, message).kind;
    if (kind != Framing::Kind::none) exchange_->body.emplace(message.headers);
  }

  // RFC 8441 leaves out what HTTP/1.1 wants to see.
  void begin_tunnel(http::ResponseMessage response) {
    const http::RequestMessage& request = exchange_->request;
    response.version = http::Version::http_1_1;
    response.status = 101;
    response.reason = http::reason_phrase(response.status);
    for (const char* name : {"content-length", "sec-websocket-accept"}) http::remove_header(response.headers, name);
    response.headers.push_back({"connection", "Upgrade"});
    response.headers.push_back({"upgrade", "websocket"});
    const std::string key(header_value(request.headers, "sec-websocket-key"));
    response.headers.push_back({"sec-websocket-accept", http::websocket_accept(key)});
    append(encode_head(response));
    exchange_->tunnels = true;
  }

  void end_response(const http::HeaderList& trailers) {
    if (exchange_->body) exchange_->body->finish(out_, trailers);
    exchange_->ended = true;
  }

  void append(const std::string& text) { out_.insert(out_.end(), text.begin(), text.end()); }

  void drop() {
    link_->end_later(exchange_->stream, Http2Error::cancel);
    on_turn();
  }

  void fail(std::string why) {
    if (exchange_) exchange_->failed = true;
    if (trouble_.empty()) trouble_ = std::move(why);
    tell();
  }

  bool is_current(StreamId stream) const { return exchange_ && exchange_->stream == stream && !exchange_->failed; }

  // Every coroutine here that waits looks at what has come.
  void tell() { news_.cancel(); }
  // False in vain, or where the coroutine is to end.
  asio::awaitable<bool> has_news(Deadline deadline) {
    if (deadline != kNever) co_return co_await has_news_by(deadline);
    co_await news_.async_wait(kAsTuple);
    co_return !is_cancelled(co_await asio::this_coro::cancellation_state);
  }
  asio::awaitable<bool> has_news_by(Deadline deadline) {
    asio::steady_timer patience(news_.get_executor(), deadline);
    const auto first = co_await (news_.async_wait(kAsTuple) || patience.async_wait(kAsTuple));
    co_return first.index() == 0 && !is_cancelled(co_await asio::this_coro::cancellation_state);
  }

  Stream* stream_;
  RequestGate& gate_;
  http::Scheme scheme_;
  UpstreamTrial trial_;
  std::optional<Http2Link> link_;
  bool gone_ = false;  // its peer is
  bool over_ = false;  // nothing more is to be done
  std::optional<Exchange> exchange_;
  int tried_ = 0;      // connections, for the exchange
  StreamId left_ = 0;  // of the exchange before
  std::string trouble_;
  std::vector<std::uint8_t> out_;  // of the response, on its way to the relay
  std::size_t unconsumed_ = 0;     // bytes of the stream that it comes from
  asio::steady_timer news_;
};

}  // namespace

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

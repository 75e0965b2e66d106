// HTTP/2 with a guest whose upstream speaks HTTP/1.1 alone.
//
// Every stream becomes an exchange of HTTP/1.1, said through a pipe to a relay of its own (relay_http1.cc), which
// judges it, swaps, masks and records as it does for any other guest. Every stream that may be open has such a lane,
// with a connection to the upstream: one that waited for another's end would keep what came of its body, and with that
// the window that the other needs to come to its end. A slow side stops the other one: by the pipe, and by the stream's
// window, which opens only for what has gone into the pipe.

#include <sys/random.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "http/body_reader.h"
#include "http/body_writer.h"
#include "http/head_reader.h"
#include "http/http2_message.h"
#include "http/refusal.h"
#include "http/websocket.h"
#include "mediator/http2_link.h"
#include "mediator/inflow.h"
#include "mediator/passage.h"
#include "mediator/pipe.h"
#include "mediator/relay.h"

namespace microagent::mediator {
namespace {

using namespace asio::experimental::awaitable_operators;
using http::Framing;
using http::Http2Error;
using http::StreamId;

constexpr std::uint32_t kLanes = 100;                 // as many streams as clients open before they are told a limit
constexpr std::size_t kMaxAhead = 256 * 1024;         // of a response, that the guest has not taken
constexpr std::chrono::milliseconds kLeaving{5'000};  // for the relay to let go of its upstream

std::string new_websocket_key() {
  std::array<std::uint8_t, 16> random{};
  MICROAGENT_CHECK(::getrandom(random.data(), random.size(), 0) == static_cast<ssize_t>(random.size()));
  return http::websocket_key(random);
}

http::Http2Session::Options session_options(const RequestGate& gate) {
  http::Http2Session::Options options{http::Http2Session::Role::server, true, limits_of(gate)};
  options.limits.max_streams = kLanes;
  return options;
}

// One stream of the guest's.
struct Exchange {
  Exchange(StreamId id, const asio::any_io_executor& executor) : stream(id), news(executor, kNever) {}

  StreamId stream;
  http::RequestMessage request;  // as HTTP/1.1
  std::string key;               // of a WebSocket
  std::vector<std::uint8_t> body;
  http::HeaderList trailers;
  bool ended = false;       // the whole request is here
  bool unwanted = false;    // nobody takes more of the body
  bool closed = false;      // the stream is over
  bool tunnels = false;     // the upstream has changed to WebSocket
  bool answered = false;    // the whole response is out
  asio::steady_timer news;  // of any of that, or of room for more of the response
};
using ExchangePtr = std::shared_ptr<Exchange>;

class Http2Guest final : public http::Http2Events, public Http2Link::Owner {
 public:
  Http2Guest(Stream& guest, http::Scheme scheme, RequestGate& gate)
      : gate_(gate),
        scheme_(scheme),
        executor_(guest.descriptor().get_executor()),
        link_(guest, {session_options(gate), *this}, *this),
        work_(executor_, kNever),
        growth_(executor_, kNever) {}

  asio::awaitable<void> run() {
    co_await (link_.serve() || work(kLanes));
    for (const ExchangePtr& exchange : queue_) forgo(*exchange, "the guest's connection ended");
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    if (const auto limit = link_.session().hit_limit(); limit != http::Http2Limit::none) {
      gate_.refuse_malformed(std::string(to_string(limit)), false);
    }
    co_await link_.say_farewell();
  }

  // ---- what the guest sends

  void on_headers(StreamId stream, http::HeaderList fields, bool end) override {
    http::RequestMessage request;
    const http::MessageFault fault = http::parse_http2_request(fields, request);
    if (fault != http::MessageFault::none) return refuse(stream, request, std::string(to_string(fault)));
    if (request.scheme != scheme_) return refuse(stream, request, "the scheme is not the connection's");
    auto exchange = std::make_shared<Exchange>(stream, executor_);
    if (!request.protocol.empty()) exchange->key = new_websocket_key();
    exchange->request = as_http1(request, !end, exchange->key);
    exchange->ended = end;
    exchanges_.emplace(stream, exchange);
    queue_.push_back(std::move(exchange));
    if (queue_.size() <= idle_) work_.cancel_one();
    else growth_.cancel();
  }

  void on_data(StreamId stream, ByteView bytes, bool end) override {
    Exchange* exchange = find(stream);
    if (exchange == nullptr || exchange->unwanted) return link_.session().consume(stream, bytes.size());
    exchange->body.insert(exchange->body.end(), bytes.begin(), bytes.end());
    exchange->ended = exchange->ended || end;
    exchange->news.cancel();
  }

  void on_trailers(StreamId stream, http::HeaderList fields) override {
    Exchange* exchange = find(stream);
    if (exchange == nullptr) return;
    exchange->trailers = std::move(fields);
    exchange->ended = true;
    exchange->news.cancel();
  }

  void on_sent(StreamId stream, std::size_t) override {
    if (Exchange* exchange = find(stream)) exchange->news.cancel();
  }

  void on_closed(StreamId stream) override {
    Exchange* exchange = find(stream);
    if (exchange == nullptr) return;
    exchange->closed = true;
    exchange->news.cancel();
    exchanges_.erase(stream);
  }

  void on_informational(StreamId, http::HeaderList) override {}
  void on_reset(StreamId, Http2Error) override {}   // on_closed() follows
  void on_goaway(StreamId, Http2Error) override {}  // it opens no more, and what it opened goes on
  void on_settings() override {}
  void on_pong(std::uint64_t) override {}

  void on_turn() override {
    link_.end_streams();
    link_.wake();
  }

 private:
  // Each of the lanes takes one stream after the other. There is one more as soon as no other has time for a stream.
  asio::awaitable<void> work(std::size_t lanes) {
    while (queue_.size() <= idle_) {
      co_await growth_.async_wait(kAsTuple);
      if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    }
    if (lanes == 1) co_return co_await take_streams();
    co_await (take_streams() || work(lanes - 1));
  }

  asio::awaitable<void> take_streams() {
    for (;;) {
      while (queue_.empty()) {
        ++idle_;
        co_await work_.async_wait(kAsTuple);
        --idle_;
        if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
      }
      const ExchangePtr exchange = std::move(queue_.front());
      queue_.pop_front();
      if (exchange->closed) forgo(*exchange, "the guest reset the stream");
      else co_await carry(*exchange);
      if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    }
  }

  asio::awaitable<void> carry(Exchange& exchange) {
    const auto gate = gate_.open_lane();
    auto pipe = open_pipe(executor_);
    if (gate && pipe) co_await (relay(std::move(pipe->near), *gate) || talk(*pipe->far, exchange));
    else refuse_lane(exchange);
    drop_body(exchange);
  }

  // What nobody will take is nobody's: the rest of the connection needs its window.
  void drop_body(Exchange& exchange) {
    exchange.unwanted = true;
    consume(exchange, std::exchange(exchange.body, {}).size());
    on_turn();
  }

  asio::awaitable<void> relay(StreamPtr near, RequestGate& gate) {
    co_await relay_http1(*near, Http1Upstream{gate.upstream()}, scheme_, gate);
    near.reset();  // which the other end sees when it has read what is left
    co_await forever();
  }

  // The client of the relay: until the response is there as a whole, or there will be none.
  asio::awaitable<void> talk(Stream& far, Exchange& exchange) {
    Inflow from_relay(far);
    co_await (send_request(far, exchange) || take_response(from_relay, exchange));
    if (is_cancelled(co_await asio::this_coro::cancellation_state) || !exchange.answered) co_return;
    // The relay may leave its upstream to others, once it sees that there is no further request.
    co_await far.finish();
    const Deadline deadline = in(kLeaving);
    while (co_await from_relay.fill(deadline)) from_relay.take(from_relay.bytes().size());
    drop_body(exchange);
    // What the guest has not taken is held by this lane's share of memory.
    while (link_.session().queued(exchange.stream) > 0 && co_await has_news(exchange)) continue;
  }

  // Returns only when the guest wants nothing more: what becomes of the request, the response tells.
  asio::awaitable<void> send_request(Stream& far, Exchange& exchange) {
    const std::string head = encode_head(exchange.request);
    const http::BodyWriter writer(exchange.request.headers);
    bool takes = co_await far.write_all(text_bytes(head), kNever);
    std::vector<std::uint8_t> out;
    for (bool finished = false; !exchange.closed;) {
      const bool waits = !exchange.key.empty() && !exchange.tunnels;  // whose the bytes are is not known yet
      if (!takes) exchange.unwanted = true;
      if (!waits && !exchange.body.empty()) {
        const auto body = std::exchange(exchange.body, {});
        out.clear();
        writer.append(out, body);
        takes = takes && co_await far.write_all(out, kNever);
        consume(exchange, body.size());
        continue;
      }
      if (!waits && exchange.ended && takes && !std::exchange(finished, true)) {
        out.clear();
        writer.finish(out, exchange.trailers);
        takes = co_await far.write_all(out, kNever);
        if (exchange.tunnels) co_await far.finish();
        continue;
      }
      if (!co_await has_news(exchange)) co_return;
    }
  }

  // As many interim responses as there are, and the final one.
  asio::awaitable<void> take_response(Inflow& from_relay, Exchange& exchange) {
    for (;;) {
      http::ResponseReader reader;
      while (reader.state() == http::HeadReader::State::incomplete) {
        if (!co_await from_relay.fill(kNever)) co_return fail(exchange);
        from_relay.take(reader.feed(from_relay.bytes()));
      }
      if (reader.state() == http::HeadReader::State::failed) co_return fail(exchange);
      const http::ResponseMessage& response = reader.message();
      const http::HeaderList fields = http2_fields(response);
      if (!is_interim(response)) co_return co_await take_body(from_relay, exchange, response, fields);
      if (!link_.session().submit_informational(exchange.stream, fields)) co_return fail(exchange);
      link_.wake();
    }
  }

  asio::awaitable<void> take_body(Inflow& from_relay, Exchange& exchange, const http::ResponseMessage& response,
                                  const http::HeaderList& fields) {
    const Framing framing = response_framing(exchange.request, response);
    exchange.tunnels = framing.kind == Framing::Kind::tunnel;
    const std::string_view proof = header_value(response.headers, "sec-websocket-accept");
    if (exchange.tunnels && proof != http::websocket_accept(exchange.key)) co_return fail(exchange);
    // To the guest that would be an open WebSocket (RFC 8441, 5).
    if (!exchange.key.empty() && !exchange.tunnels && response.status / 100 == 2) co_return refuse_answer(exchange);
    const bool empty = framing.kind == Framing::Kind::none;
    if (!link_.session().submit_response(exchange.stream, fields, empty)) co_return fail(exchange);
    link_.wake();
    if (empty) co_return finish(exchange);
    exchange.news.cancel();
    if (exchange.tunnels) co_return co_await take_bytes(from_relay, exchange);
    http::BodyReader body(framing);
    while (!body.done()) {
      if (!co_await from_relay.fill(kNever)) {
        if (from_relay.end() == StreamEnd::finished && body.on_end()) break;
        co_return fail(exchange);
      }
      const http::BodyReader::Piece piece = body.next(from_relay.bytes());
      if (body.fault() != http::BodyFault::none) co_return fail(exchange);
      if (piece.payload && !co_await send(exchange, from_relay.bytes().first(piece.size))) co_return;
      from_relay.take(piece.size);
    }
    if (!link_.session().send_trailers(exchange.stream, http::http2_trailers(body.trailers())))
      co_return fail(exchange);
    finish(exchange);
  }

  asio::awaitable<void> take_bytes(Inflow& from_relay, Exchange& exchange) {
    while (co_await from_relay.fill(kNever)) {
      if (!co_await send(exchange, from_relay.bytes())) co_return;
      from_relay.take(from_relay.bytes().size());
    }
    if (from_relay.end() != StreamEnd::finished) co_return fail(exchange);
    if (!link_.session().send_data(exchange.stream, {}, true)) co_return fail(exchange);
    link_.wake();
    while (!exchange.ended && co_await has_news(exchange)) continue;  // the guest may have more to say
    finish(exchange);
  }

  asio::awaitable<bool> send(Exchange& exchange, ByteView bytes) {
    while (!exchange.closed && link_.session().queued(exchange.stream) > kMaxAhead) {
      if (!co_await has_news(exchange)) co_return false;
    }
    if (!link_.session().send_data(exchange.stream, bytes, false)) co_return false;
    link_.wake();
    co_return true;
  }

  // False where the coroutine is to end.
  asio::awaitable<bool> has_news(Exchange& exchange) {
    co_await exchange.news.async_wait(kAsTuple);
    co_return !is_cancelled(co_await asio::this_coro::cancellation_state);
  }

  void finish(Exchange& exchange) {
    exchange.answered = true;
    link_.session().stop_request(exchange.stream, Http2Error::no_error);
    on_turn();
  }

  void fail(Exchange& exchange) { reset(exchange, Http2Error::internal_error); }

  void reset(Exchange& exchange, Http2Error error) {
    if (!exchange.closed) link_.end_later(exchange.stream, error);
    on_turn();
  }

  void consume(Exchange& exchange, std::size_t bytes) {
    link_.session().consume(exchange.stream, bytes);
    link_.wake();
  }

  void refuse(StreamId stream, const http::RequestMessage& request, const std::string& fault) {
    const bool json = http::wants_json(request);
    answer(link_.session(), stream, request, gate_.refuse_malformed(fault, json), json);
  }

  void refuse_lane(const Exchange& exchange) {
    const bool json = http::wants_json(exchange.request);
    answer(link_.session(), exchange.stream, exchange.request, gate_.no_room(exchange.request), json);
  }

  void refuse_answer(const Exchange& exchange) {
    const bool json = http::wants_json(exchange.request);
    const Refused refused = gate_.upstream_failed("the upstream answers as if no WebSocket had been asked for", json);
    answer(link_.session(), exchange.stream, exchange.request, refused, json);
    link_.wake();
  }

  // Nothing of it has gone on, and that it was asked is on record all the same.
  void forgo(Exchange& exchange, std::string_view why) {
    RequestStory story(exchange.request);
    if (gate_.admit(exchange.request, story)) return;
    story.error = why;
    gate_.record(story);
  }

  Exchange* find(StreamId stream) {
    const auto found = exchanges_.find(stream);
    return found == exchanges_.end() ? nullptr : found->second.get();
  }

  RequestGate& gate_;
  http::Scheme scheme_;
  asio::any_io_executor executor_;
  Http2Link link_;
  std::unordered_map<StreamId, ExchangePtr> exchanges_;  // of streams that are open
  std::deque<ExchangePtr> queue_;                        // wait for a lane
  asio::steady_timer work_;                              // lanes without a stream wait here
  std::size_t idle_ = 0;                                 // of them
  asio::steady_timer growth_;                            // and here the lane that there is not yet
};

}  // namespace

asio::awaitable<void> relay_http2_to_http1(Stream& guest, http::Scheme scheme, RequestGate& gate) {
  Http2Guest relay(guest, scheme, gate);
  co_await relay.run();
}

}  // namespace microagent::mediator

#pragma once

// HTTP/1 with a guest whose upstream speaks HTTP/2 alone.
//
// The guest has an ordinary relay (relay_http1.cc), whose upstream is a pipe. At the other end of that every request,
// which has been judged and is sound, becomes a stream of HTTP/2: one at a time, as HTTP/1 has it. The connection goes
// on from one to the next, and another takes its place where its server wants no more streams on it (GOAWAY): a stream
// that it has not looked at is tried again.
//
// translate_upstream.cc has the life of the connections. A request goes up by translate_upstream_request.cc, and its
// response comes back through translate_upstream_response.cc.

#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>
#include <vector>

#include "http/body_reader.h"
#include "http/body_writer.h"
#include "mediator/http2_link.h"
#include "mediator/inflow.h"
#include "mediator/relay.h"
#include "mediator/upstream_trial.h"

namespace microagent::mediator {

// One request and what has come of it.
struct TranslatedExchange {
  http::RequestMessage request;
  http::StreamId stream = 0;
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
  Http2Upstream(Stream& upstream, http::Scheme scheme, RequestGate& gate);

  // Why there is no response; empty while nothing is wrong.
  const std::string& trouble() const { return trouble_; }

  // Answers what the relay asks at `far`, until it is cancelled.
  asio::awaitable<void> serve(StreamPtr far);
  // The next flow may go on with the connection, where nothing is under way.
  bool leave();
  asio::awaitable<void> say_farewell();

 private:
  using Http2Error = http::Http2Error;
  using StreamId = http::StreamId;

  static constexpr std::chrono::milliseconds kOpenTimeout{10'000};  // for the upstream to let a stream begin

  enum class Outcome : std::uint8_t {
    done,   // the next request may come
    over,   // none will
    again,  // on another connection
  };

  // ---- one connection after the other: translate_upstream.cc

  asio::awaitable<void> serve_connections(Stream& far);
  http::Http2Session new_session();
  asio::awaitable<void> serve_link();
  asio::awaitable<void> watch_trial();
  void end_connection();
  asio::awaitable<void> serve_requests(Inflow& from_relay);
  void end();
  void drop();
  void fail(std::string why);
  bool is_current(StreamId stream) const;
  void on_pong(std::uint64_t) override;
  void on_turn() override;
  void on_broken(Http2Link& link) override;
  void on_sent(StreamId, std::size_t) override { tell(); }
  void on_goaway(StreamId, Http2Error) override { tell(); }
  void on_settings() override { tell(); }

  // Every coroutine here that waits looks at what has come.
  void tell() { news_.cancel(); }
  // False in vain, or where the coroutine is to end.
  asio::awaitable<bool> has_news(Deadline deadline);
  asio::awaitable<bool> has_news_by(Deadline deadline);

  // ---- from the relay to the upstream: translate_upstream_request.cc

  asio::awaitable<bool> read_request(Inflow& from_relay);
  asio::awaitable<void> leave_last();
  asio::awaitable<bool> may_begin();
  bool going_away() const;
  asio::awaitable<Outcome> carry(Inflow& from_relay);
  bool opens_tunnel(const http::RequestMessage& request) const;
  http::HeaderList fields_of(http::RequestMessage& request) const;
  asio::awaitable<void> send_body(Inflow& from_relay, http::BodyReader& body);
  asio::awaitable<void> send_bytes(Inflow& from_relay);
  asio::awaitable<bool> send(ByteView bytes);

  // ---- and back: translate_upstream_response.cc

  void on_headers(StreamId stream, http::HeaderList fields, bool end) override;
  void on_informational(StreamId stream, http::HeaderList fields) override;
  void on_data(StreamId stream, ByteView bytes, bool end) override;
  void on_trailers(StreamId stream, http::HeaderList fields) override;
  void on_reset(StreamId stream, Http2Error error) override;
  void on_closed(StreamId stream) override;
  asio::awaitable<void> give_response(Stream& relay);
  void begin_response(const http::ResponseMessage& response, bool end);
  void begin_tunnel(http::ResponseMessage response);
  void end_response(const http::HeaderList& trailers);
  void append(const std::string& text);

  Stream* stream_;
  RequestGate& gate_;
  http::Scheme scheme_;
  UpstreamTrial trial_;
  std::optional<Http2Link> link_;
  bool gone_ = false;  // its peer is
  bool over_ = false;  // nothing more is to be done
  std::optional<TranslatedExchange> exchange_;
  int tried_ = 0;      // connections, for the exchange
  StreamId left_ = 0;  // of the exchange before
  std::string trouble_;
  std::vector<std::uint8_t> out_;  // of the response, on its way to the relay
  std::size_t unconsumed_ = 0;     // bytes of the stream that it comes from
  asio::steady_timer news_;
};

}  // namespace microagent::mediator

#pragma once

// One HTTP/2 connection (RFC 9113), as its server or as its client: bytes in, events and bytes out. nghttp2 does the
// protocol. Flow control is the owner's: the peer may send on only for what was consume()d, so that a slow reader at
// the far end stops the sender at the near one.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/headers.h"
#include "http/http2_limits.h"

namespace microagent::http {

using StreamId = std::int32_t;

// RFC 9113, 7. A peer may send any other number.
enum class Http2Error : std::uint32_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  flow_control_error = 0x3,
  settings_timeout = 0x4,
  stream_closed = 0x5,
  frame_size_error = 0x6,
  refused_stream = 0x7,
  cancel = 0x8,
  compression_error = 0x9,
  connect_error = 0xa,
  enhance_your_calm = 0xb,
  inadequate_security = 0xc,
  http_1_1_required = 0xd,
};
std::string_view to_string(Http2Error error);  // "REFUSED_STREAM"; "unknown" for other numbers

// All calls come from within feed(), take_output() or reset(). They may use every function of every session but those,
// and must not destroy the session that calls. Bytes are only lent.
class Http2Events {
 public:
  virtual ~Http2Events() = default;

  // A request (to a server) or a final response (to a client). Fields as they came, pseudo-headers in front. `end`: the
  // peer has said all on this stream; nothing but on_closed() follows.
  virtual void on_headers(StreamId stream, HeaderList fields, bool end) = 0;
  // A 1xx response; the final one follows.
  virtual void on_informational(StreamId stream, HeaderList fields) = 0;
  // May be empty when it is the end. Every byte is to be consume()d once.
  virtual void on_data(StreamId stream, ByteView bytes, bool end) = 0;
  virtual void on_trailers(StreamId stream, HeaderList fields) = 0;

  // So many bytes of send_data() went into the output: room for as many more.
  virtual void on_sent(StreamId stream, std::size_t bytes) = 0;
  // The stream ended before its time: reset by the peer, or by this side for an error of the peer's. What the peer sent
  // and was not consumed is given back to the connection by the session.
  virtual void on_reset(StreamId stream, Http2Error error) = 0;
  // The last event of every stream. Actions on it do nothing from now on, but consume() of what is left still counts.
  virtual void on_closed(StreamId stream) = 0;

  // Streams above `last` were not and will not be looked at (to a client); no stream may be opened any more.
  virtual void on_goaway(StreamId last, Http2Error error) = 0;
  // The peer's settings came or changed: may_open() and peer_takes_connect_protocol() may say otherwise now.
  virtual void on_settings() = 0;
  virtual void on_pong(std::uint64_t token) = 0;
};

class Http2Session {
 public:
  enum class Role : std::uint8_t { server, client };

  struct Options {
    Role role = Role::server;
    // Server: offer extended CONNECT from the first settings on; else offer_connect_protocol() may follow.
    bool connect_protocol = false;
    Http2Limits limits;
  };

  // Preface and settings are in the output at once. `events` must outlive the session.
  Http2Session(const Options& options, Http2Events& events);
  ~Http2Session();
  Http2Session(Http2Session&&) noexcept;
  Http2Session& operator=(Http2Session&&) noexcept;

  // Who hears of events from now on. Without anybody they are lost: for a connection that is between two owners,
  // without a stream. Neither from within an event.
  void attach(Http2Events& events);
  void detach();

  // ---- bytes

  // Takes all the peer's bytes; `now` is monotonic_ns() and feeds the limits' rates. False when the connection is over:
  // a GOAWAY is in the output, which should still be sent.
  // Errors that nghttp2 finds end it with take_output(), after which is_finished() holds.
  bool feed(ByteView bytes, std::uint64_t now);
  // Appends what is to be sent, whole frames until there are `at_least` bytes or nothing is left; returns how many.
  std::size_t take_output(std::vector<std::uint8_t>& out, std::size_t at_least = kOutputBatch);
  // There may be something to send. Ask after every feed() and every action.
  bool wants_write() const;
  // Neither to read nor to send anything: close the connection.
  bool is_finished() const;
  Http2Limit hit_limit() const;  // why feed() said false

  // ---- streams

  // Client: a slot among the streams that the peer allows, and no GOAWAY in either direction.
  bool may_open() const;
  std::size_t open_streams() const;
  std::uint32_t connection_window() const;  // how much the peer may send ahead of consume()
  // Client. `fields` begin with the pseudo-headers. `end`: no body. Nothing when may_open() does not hold, or with
  // fields that may not be sent (is_sendable()).
  [[nodiscard]] std::optional<StreamId> submit_request(const HeaderList& fields, bool end);
  // Server; false for a stream that is closed, or was answered, or fields that may not be sent.
  [[nodiscard]] bool submit_informational(StreamId stream, const HeaderList& fields);
  [[nodiscard]] bool submit_response(StreamId stream, const HeaderList& fields, bool end);
  // After request or response heads that did not end the stream. Copies the bytes into the stream's queue; it is the
  // caller who keeps that short, by on_sent() or queued(). False, with nothing taken, above kMaxQueued, or when the
  // stream is closed or ended.
  [[nodiscard]] bool send_data(StreamId stream, ByteView bytes, bool end);
  // Behind all data; ends the stream.
  [[nodiscard]] bool send_trailers(StreamId stream, const HeaderList& fields);
  std::size_t queued(StreamId stream) const;

  // Bytes of on_data() that have gone on: the peer may send as many more.
  void consume(StreamId stream, std::size_t bytes);
  // Drops what is queued. on_closed() follows at once or with the output; no on_reset().
  void reset(StreamId stream, Http2Error error);

  // Server: takes no more of the request once the whole response is out (RFC 9113, 8.1). on_closed() follows; no
  // on_reset(). Nothing changes for a request that is whole by then.
  void stop_request(StreamId stream, Http2Error error);

  // ---- connection

  // Server: "no new streams, please", before a goaway() one round trip later. Streams that are open go on.
  void announce_shutdown();
  // No new streams of the peer's; is_finished() holds when the open ones have ended.
  void goaway(Http2Error error);
  // As goaway(), but the open streams end, too, and not all of them are told.
  void terminate(Http2Error error);
  void ping(std::uint64_t token);
  // Server: takes extended CONNECT from now on (RFC 8441). It cannot be taken back.
  void offer_connect_protocol();
  // Client: the peer takes it.
  bool peer_takes_connect_protocol() const;
  bool has_peer_settings() const;

  static constexpr std::size_t kOutputBatch = 64 * 1024;
  static constexpr std::size_t kMaxQueued = 2 * 1024 * 1024;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Names in lower case, values without control characters, pseudo-headers in front, no header of HTTP/1's connections.
bool is_sendable(const HeaderList& fields);

}  // namespace microagent::http

#pragma once

// One HTTP/2 connection at work: what comes in by its stream goes to its session, and what the session has to say goes
// out.

#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "http/http2_session.h"
#include "mediator/stream.h"

namespace microagent::mediator {

class Http2Link {
 public:
  // Who owns the link. Called when events are over: streams may be reset, and other links woken.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_turn() = 0;
    // The peer sends no more; serve() is about to return.
    virtual void on_ended(Http2Link&) {}
    // The peer has broken the protocol. It is told so, and is heard no more.
    virtual void on_broken(Http2Link&) {}
  };

  Http2Link(Stream& stream, http::Http2Session session, Owner& owner)
      : owner_(owner), stream_(&stream), session_(std::move(session)), wake_(stream.descriptor().get_executor()) {}
  Http2Link(const Http2Link&) = delete;
  Http2Link& operator=(const Http2Link&) = delete;

  http::Http2Session& session() { return session_; }
  const http::Http2Session& session() const { return session_; }

  // Reads and writes until the peer is gone, or the session is over.
  asio::awaitable<void> serve();
  // There may be something to write.
  void wake() {
    if (session_.wants_write() || session_.is_finished()) wake_.cancel();
  }
  // The connection is over, and its stream about to go: serve() has returned. Nothing is read or written until renew().
  void let_go() { stream_ = nullptr; }
  // Another connection takes its place.
  void renew(Stream& stream, http::Http2Session session);
  // For somebody else to go on with, once serve() is cancelled: nothing where something is still under way.
  std::optional<http::Http2Session> take_session();

  // What is left is sent, as far as the peer takes it, and then the end.
  asio::awaitable<void> say_farewell();

  // A stream may not be reset from within an event of its session: on_turn() is the time for end_streams().
  void end_later(http::StreamId stream, http::Http2Error error) { to_reset_.push_back({stream, error}); }
  void end_streams();

  // So many bytes have gone out.
  std::uint64_t written() const { return written_; }

 private:
  struct Reset {
    http::StreamId stream = 0;
    http::Http2Error error{};
  };

  asio::awaitable<void> read();
  asio::awaitable<void> write();

  Owner& owner_;
  Stream* stream_;  // null: let go
  http::Http2Session session_;
  asio::steady_timer wake_;  // the writer waits here
  bool writes_ = false;      // what is being written must be whole before anything follows it
  std::vector<Reset> to_reset_;
  std::uint64_t written_ = 0;
};

}  // namespace microagent::mediator

#pragma once

// A connection of HTTP/2 that was another flow's before (upstream_pool.h) may have ended, and nobody could see it yet.
// So it is on trial until its first answer begins: where it fails before, what it has not looked at goes over a new
// one. It is pinged first; until that is answered, only requests are risked that may be made twice.

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "http/http2_session.h"
#include "mediator/io.h"

namespace microagent::mediator {

class UpstreamTrial {
 public:
  static constexpr std::chrono::milliseconds kAnswerTime{3'000};  // of the ping

  UpstreamTrial(const asio::any_io_executor& executor, bool reused)
      : lasts_(reused), doubtful_(reused), deadline_(in(kAnswerTime)), wake_(executor) {}

  static void begin(http::Http2Session& session, http::Http2Events& events) {
    session.attach(events);
    session.ping(0);
  }

  bool lasts() const { return lasts_; }
  bool is_doubtful() const { return doubtful_; }  // nothing has come back
  void on_pong() {
    if (std::exchange(doubtful_, false)) wake_.cancel();
  }
  // Well or badly.
  void end() {
    lasts_ = false;
    on_pong();
  }
  void give_up() {
    given_up_ = true;
    wake_.cancel();
  }

  // A new connection takes the place of this one, and is on no trial.
  void renew() { lasts_ = doubtful_ = given_up_ = false; }

  // Returns when the connection is to be given up: by somebody's word, or because the ping was answered too late.
  asio::awaitable<void> until_given_up();

 private:
  bool lasts_, doubtful_, given_up_ = false;
  Deadline deadline_;
  asio::steady_timer wake_;
};

}  // namespace microagent::mediator

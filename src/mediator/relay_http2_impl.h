#pragma once

// HTTP/2 between a guest and its upstream: two connections of their own, whose streams are paired one to one.
//
// What a stream of one side brings goes into the queue of its partner, and is consumed, so that the sender may send on,
// when it has left that queue: who reads slowly stops who sends to him, and at most a window of a stream is held here.
// Streams that nobody reads use up the window of their connection, and then the others on it stand still, too.
//
// relay_http2.cc has the life of the two connections. A request goes through relay_http2_request.cc, and its response
// through relay_http2_response.cc; relay_http2_ends.cc has how both end. relay_http2_reuse.cc has how one connection to
// the upstream gives way to another.

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "http/http2_session.h"
#include "http/message.h"
#include "mediator/http2_link.h"
#include "mediator/passage.h"
#include "mediator/relay_http2_events.h"
#include "mediator/request_gate.h"
#include "mediator/stream.h"
#include "mediator/upstream_trial.h"

namespace microagent::mediator {

class Http2Relay final : public Http2Link::Owner {
 public:
  // `kept`: the upstream's session, where it was another flow's before.
  Http2Relay(Stream& guest, Stream& upstream, std::optional<http::Http2Session> kept, http::Scheme scheme,
             RequestGate& gate);
  Http2Relay(const Http2Relay&) = delete;
  Http2Relay& operator=(const Http2Relay&) = delete;
  // Cancellation, too, ends here: every story is told.
  ~Http2Relay() override;

  // Until the guest is done: what the upstream has said when it ends is still on its way then.
  asio::awaitable<void> run();

 private:
  friend class GuestEvents<Http2Relay>;
  friend class UpstreamEvents<Http2Relay>;
  using Http2Error = http::Http2Error;
  using StreamId = http::StreamId;

  static constexpr const char* kUpstreamEnded = "the upstream ended the connection";

  // ---- the two connections: relay_http2.cc

  http::Http2Session guest_session(bool connect_protocol);
  http::Http2Session upstream_session();
  asio::awaitable<void> serve_upstream();
  asio::awaitable<void> drain();
  void end_upstream();
  void on_turn() override;
  void on_ended(Http2Link& link) override;
  void on_broken(Http2Link& link) override;
  Passage* find(StreamId guest);
  Passage* find_upstream(StreamId upstream);

  // ---- from the guest to the upstream: relay_http2_request.cc

  void on_request(StreamId stream, const http::HeaderList& fields, bool end);
  asio::awaitable<void> equip_waiting();
  void send_on(Passage& passage);
  void queue(Passage& passage);
  void open_waiting();
  void open(Passage& passage);
  void on_request_data(StreamId stream, ByteView bytes, bool end);
  void gather(Passage& passage, std::size_t more);
  void on_request_trailers(StreamId stream, http::HeaderList fields);
  void on_request_sent(StreamId stream, std::size_t bytes);
  void on_guest_reset(StreamId stream, Http2Error error);

  // ---- and back: relay_http2_response.cc

  void on_response(StreamId stream, http::HeaderList fields, bool end);
  bool look_through(Passage& passage, const http::SecretFormsPtr& secrets);
  void begin_response(Passage& passage, bool end);
  void on_interim_response(StreamId stream, http::HeaderList fields);
  void on_response_data(StreamId stream, ByteView bytes, bool end);
  bool pass_masked(Passage& passage, ByteView bytes, bool last, bool end);
  void on_response_trailers(StreamId stream, http::HeaderList fields);
  void on_response_sent(StreamId stream, std::size_t bytes);
  void on_upstream_reset(StreamId stream, Http2Error error);

  // ---- how a passage ends: relay_http2_ends.cc

  void on_guest_closed(StreamId stream);
  void on_upstream_closed(StreamId stream);
  void settle(Passage& passage);
  void fail(Passage& passage, const std::string& why);
  void refuse(Passage& passage, const Refused& refused);
  void answer(StreamId stream, const http::RequestMessage& request, const Refused& refused, bool json);
  void answer(Passage& passage, const Refused& refused);
  void refuse_retryable(Passage& passage);
  void refuse_trailers(Passage& passage);
  bool hold_trailers(Passage& passage, const http::HeaderList& fields);
  void end_both(Passage& passage, Http2Error error);
  void end_early(Passage& passage, const std::string& why);

  // ---- one connection to the upstream after the other: relay_http2_reuse.cc

  bool leave_upstream();
  void on_upstream_pong();
  void on_upstream_settings();
  static bool may_be_risked(const Passage& passage);
  static bool is_under_way(const Passage& passage);
  bool is_upstream_wanted() const;
  bool may_change_upstream() const;
  void change_upstream();
  asio::awaitable<bool> renew_upstream();
  void recall(bool untouched);
  void lose(Passage& passage, bool untouched);
  void on_upstream_goaway(StreamId last);

  RequestGate& gate_;
  http::Scheme scheme_;
  GuestEvents<Http2Relay> guest_events_{*this};
  UpstreamEvents<Http2Relay> upstream_events_{*this};
  Http2Link guest_;
  UpstreamTrial trial_;
  Http2Link upstream_;
  HeadMemory heads_{gate_};
  std::unordered_map<StreamId, Passage> passages_;      // by the guest's stream
  std::unordered_map<StreamId, StreamId> by_upstream_;  // the guest's stream
  std::deque<StreamId> queue_;                          // wait for a slot
  std::vector<StreamId> unequipped_;                    // wait for a credential
  asio::steady_timer equip_wake_, wanted_;
  std::size_t gathered_ = 0;    // by all passages that gather
  std::string trouble_;         // of the upstream's connection, which nothing takes the place of
  bool has_answered_ = false;   // this connection of the upstream's, to any request
  bool changes_ = false;        // it gives way to another, which requests wait for
  bool upstream_gone_ = false;  // it takes no more requests, and there will be no other
  bool upstream_ended_ = false;
};

}  // namespace microagent::mediator

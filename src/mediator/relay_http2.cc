// HTTP/2 between a guest and its upstream: two connections of their own, whose streams are paired one to one.
//
// What a stream of one side brings goes into the queue of its partner, and is consumed, so that the sender may send on,
// when it has left that queue: who reads slowly stops who sends to him, and at most a window of a stream is held here.
// Streams that nobody reads use up the window of their connection, and then the others on it stand still, too.

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "http/body_reader.h"
#include "http/http2_message.h"
#include "http/http2_session.h"
#include "http/refusal.h"
#include "http/secret_placement.h"
#include "mediator/http2_link.h"
#include "mediator/passage.h"
#include "mediator/relay.h"
#include "mediator/relay_http2_events.h"
#include "mediator/upstream_trial.h"

namespace microagent::mediator {
namespace {

using http::Http2Error;
using http::Http2Session;
using http::StreamId;

constexpr const char* kUpstreamEnded = "the upstream ended the connection";
constexpr std::size_t kMaxGathered = 8 * 1024 * 1024;
constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

class Http2Relay final : public Http2Link::Owner {
 public:
  // `kept`: the upstream's session, where it was another flow's before.
  Http2Relay(Stream& guest, Stream& upstream, std::optional<Http2Session> kept, http::Scheme scheme, RequestGate& gate)
      : gate_(gate),
        scheme_(scheme),
        guest_(guest, guest_session(kept && kept->peer_takes_connect_protocol()), *this),
        trial_(guest.descriptor().get_executor(), kept.has_value()),
        upstream_(upstream, kept ? std::move(*kept) : upstream_session(), *this),
        equip_wake_(guest.descriptor().get_executor()) {
    if (trial_.lasts()) UpstreamTrial::begin(upstream_.session(), upstream_events_);
  }
  Http2Relay(const Http2Relay&) = delete;
  Http2Relay& operator=(const Http2Relay&) = delete;

  // Until the guest is done: what the upstream has said when it ends is still on its way then.
  asio::awaitable<void> run() {
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

  // Cancellation, too, ends here: every story is told.
  ~Http2Relay() override {
    for (auto& [id, passage] : passages_) {
      if (passage.story.error.empty()) passage.story.error = "the guest's connection ended";
      gate_.record(passage.story);
    }
  }

 private:
  friend class GuestEvents<Http2Relay>;
  friend class UpstreamEvents<Http2Relay>;

  Http2Session guest_session(bool connect_protocol) {
    return {{Http2Session::Role::server, connect_protocol, limits_of(gate_)}, guest_events_};
  }
  Http2Session upstream_session() { return {{Http2Session::Role::client, false, limits_of(gate_)}, upstream_events_}; }

  // ---- bytes

  asio::awaitable<void> serve_upstream() {
    using namespace asio::experimental::awaitable_operators;
    co_await (upstream_.serve() || trial_.until_given_up());
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    if (trial_.lasts()) {
      co_await replace_upstream();
      if (trouble_.empty()) co_await upstream_.serve();
    }
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    end_upstream();
    co_await drain();
  }

  // The next flow may go on with it, where this one has nothing under way.
  bool leave_upstream() {
    if (upstream_gone_ || !passages_.empty()) return false;
    auto session = upstream_.take_session();
    if (!session) return false;
    gate_.leave_session(std::move(*session));
    gate_.leave_upstream_clean();
    return true;
  }

  // The last flow's connection has failed before its first answer. Requests wait meanwhile.
  asio::awaitable<void> replace_upstream() {
    recall(false);
    trial_.end();
    upstream_.session().terminate(Http2Error::no_error);
    upstream_.let_go();
    const auto stream = co_await gate_.replace_upstream();
    if (!stream) co_return void(trouble_ = stream.error());
    upstream_.renew(**stream, upstream_session());
    open_waiting();
    on_turn();
  }

  // Takes back what may be sent on another connection: where the upstream has said that it looked at nothing,
  // everything that can be said again, and otherwise what may be made twice.
  void recall(bool untouched) {
    std::vector<StreamId> again, lost;
    for (auto& [id, passage] : passages_) {
      if (std::exchange(passage.upstream, 0) == 0) continue;
      const bool may_go = passage.repeatable && (untouched || may_repeat(passage.request));
      (may_go && !passage.guest_closed ? again : lost).push_back(id);
    }
    by_upstream_.clear();
    std::ranges::sort(again);
    queue_.insert(queue_.begin(), again.begin(), again.end());
    for (const StreamId id : lost) lose(passages_.at(id), untouched);
  }

  void lose(Passage& passage, bool untouched) {
    if (passage.guest_closed) return settle(passage);
    if (!passage.story.error.empty()) return;  // its end is on its way to the guest
    if (untouched) return refuse_retryable(passage);
    fail(passage, kUpstreamEnded);
  }

  // What is left of the answers, as long as the guest goes on taking it.
  asio::awaitable<void> drain() {
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

  void on_turn() override {
    guest_.end_streams();
    upstream_.end_streams();
    guest_.wake();
    upstream_.wake();
  }

  void on_broken(Http2Link& link) override {
    if (&link != &upstream_) return;
    if (trial_.lasts()) return trial_.give_up();
    end_upstream();
  }

  // ---- from the guest

  void on_request(StreamId stream, const http::HeaderList& fields, bool end) {
    http::RequestMessage request;
    const http::MessageFault fault = http::parse_http2_request(fields, request);
    const bool json = http::wants_json(request);
    if (fault == http::MessageFault::none && request.scheme != scheme_) {
      return answer(stream, request, gate_.refuse_malformed("the scheme is not the connection's", json), json);
    }
    if (fault != http::MessageFault::none) {
      return answer(stream, request, gate_.refuse_malformed(std::string(to_string(fault)), json), json);
    }
    Passage passage;
    passage.held = HeadMemory::Held(heads_);
    if (!passage.held.grow(memory_of(request))) return answer(stream, request, gate_.no_room(request), json);
    passage.story = RequestStory(request);
    if (const auto refused = gate_.admit(request, passage.story)) return answer(stream, request, *refused, json);
    passage.request = std::move(request);
    passage.guest = stream;
    passage.json = json;
    passage.guest_ended = end;
    Passage& kept = passages_.emplace(stream, std::move(passage)).first->second;
    if (upstream_gone_) return refuse_retryable(kept);
    if (!gate_.lacks_credential(kept.request)) return send_on(kept);
    unequipped_.push_back(stream);
    equip_wake_.cancel();
  }

  // All streams are for one host, and so wait for the same credential.
  asio::awaitable<void> equip_waiting() {
    for (;;) {
      while (unequipped_.empty()) {
        equip_wake_.expires_at(kNever);
        co_await equip_wake_.async_wait(kAsTuple);
      }
      co_await gate_.obtain_credential();
      for (const StreamId stream : std::exchange(unequipped_, {})) {
        Passage* passage = find(stream);
        if (passage != nullptr && !passage->guest_closed) send_on(*passage);
      }
      on_turn();
    }
  }

  void send_on(Passage& passage) {
    if (const auto refused = gate_.equip(passage.request, passage.story)) return refuse(passage, *refused);
    const bool has_body = !passage.guest_ended || !passage.waiting.empty();
    if (!has_body || !gate_.rewrites_body(passage.request)) return queue(passage);
    passage.loan = gate_.borrow(3 * http::kMaxSwappedBody);
    if (!passage.loan) return refuse(passage, gate_.lacks_memory(passage.json));
    passage.gathers = true;
    if (http::remove_header(passage.request.headers, "expect") > 0) {
      static_cast<void>(guest_.session().submit_informational(passage.guest, {{":status", "100"}}));
    }
    gather(passage, passage.waiting.size());
  }

  void queue(Passage& passage) {
    if (upstream_gone_) return refuse_retryable(passage);
    queue_.push_back(passage.guest);
    open_waiting();
  }

  // So many more bytes wait; the guest may send on for them, since they go nowhere before all are here. On all streams
  // together no more may wait than the connection's window would let.
  void gather(Passage& passage, std::size_t more) {
    guest_.session().consume(passage.guest, more);
    passage.taken += more;
    gathered_ += more;
    const bool too_much = passage.waiting.size() > http::kMaxSwappedBody || gathered_ > kMaxGathered;
    if (!passage.guest_ended && !too_much) return;
    passage.gathers = false;
    gathered_ -= passage.taken;
    const std::string_view body(reinterpret_cast<const char*>(passage.waiting.data()), passage.waiting.size());
    BodyVerdict verdict = gate_.rewrite_body(passage.request, body, !too_much, passage.story);
    if (verdict.refused) return refuse(passage, *verdict.refused);
    if (verdict.replacement) replace_body(passage, *verdict.replacement);
    queue(passage);
  }

  void on_request_data(StreamId stream, ByteView bytes, bool end) {
    Passage* passage = find(stream);
    if (passage == nullptr) return guest_.session().consume(stream, bytes.size());
    passage->guest_ended = passage->guest_ended || end;
    passage->story.bytes_out += bytes.size();
    if (passage->upstream == 0) {
      passage->waiting.insert(passage->waiting.end(), bytes.begin(), bytes.end());
      if (passage->gathers) gather(*passage, bytes.size());
      return;
    }
    if (!upstream_.session().send_data(passage->upstream, bytes, end)) guest_.session().consume(stream, bytes.size());
  }

  void on_request_trailers(StreamId stream, http::HeaderList fields) {
    Passage* passage = find(stream);
    if (passage == nullptr) return;
    passage->guest_ended = true;
    if (std::ranges::any_of(fields, [](const http::Header& field) { return http::is_head_only(field.name); })) {
      return refuse_trailers(*passage);
    }
    if (!hold_trailers(*passage, fields)) return;
    if (passage->upstream == 0) {
      passage->trailers = std::move(fields);
      if (passage->gathers) gather(*passage, 0);
    } else if (!upstream_.session().send_trailers(passage->upstream, fields)) {
      upstream_.end_later(passage->upstream, Http2Error::internal_error);
    }
  }

  void on_response_sent(StreamId stream, std::size_t bytes) {
    Passage* passage = find(stream);
    if (passage == nullptr || passage->upstream == 0) return;
    upstream_.session().consume(passage->upstream, passage->mask ? passage->mask->consumed(bytes) : bytes);
  }

  void on_guest_reset(StreamId stream, Http2Error error) {
    Passage* passage = find(stream);
    if (passage == nullptr) return;
    passage->story.error = "the guest reset the stream";
    if (passage->upstream != 0 && !passage->upstream_closed) upstream_.end_later(passage->upstream, error);
  }

  void on_guest_closed(StreamId stream) {
    Passage* passage = find(stream);
    if (passage == nullptr) return;
    passage->guest_closed = true;
    settle(*passage);
  }

  // ---- to the upstream

  void open_waiting() {
    while (!queue_.empty() && upstream_.session().may_open()) {
      Passage* passage = find(queue_.front());
      const bool is_wanted = passage != nullptr && !passage->guest_closed;
      if (is_wanted && trial_.is_doubtful() && !may_be_risked(*passage)) return;
      queue_.pop_front();
      if (is_wanted) open(*passage);
    }
  }

  static bool may_be_risked(const Passage& passage) { return is_all_here(passage) && may_repeat(passage.request); }

  void open(Passage& passage) {
    const bool empty = passage.waiting.empty() && passage.trailers.empty();
    passage.repeatable = is_all_here(passage);
    const auto stream = upstream_.session().submit_request(http2_fields(passage.request), passage.repeatable);
    if (!stream) return fail(passage, "the request cannot be sent on");
    passage.upstream = *stream;
    by_upstream_.emplace(*stream, passage.guest);
    if (empty) return;
    const bool end = passage.guest_ended && passage.trailers.empty();
    const bool sent = (passage.waiting.empty() && !end) || upstream_.session().send_data(*stream, passage.waiting, end);
    const bool closed = passage.trailers.empty() || upstream_.session().send_trailers(*stream, passage.trailers);
    passage.waiting = {};
    if (sent && closed) return;
    upstream_.end_later(*stream, Http2Error::internal_error);
    fail(passage, "the request cannot be sent on");
  }

  // ---- from the upstream

  void on_response(StreamId stream, http::HeaderList fields, bool end) {
    trial_.end();
    Passage* passage = find_upstream(stream);
    if (passage == nullptr) return;
    http::ResponseMessage response;
    if (const auto fault = http::parse_http2_response(fields, response); fault != http::MessageFault::none) {
      upstream_.end_later(stream, Http2Error::protocol_error);
      return fail(*passage, "the upstream's response: " + std::string(to_string(fault)));
    }
    if (!passage->held.grow(memory_of(fields))) {
      upstream_.end_later(stream, Http2Error::cancel);
      return refuse(*passage, gate_.no_room(passage->request));
    }
    passage->response_ended = end;
    passage->story.status = response.status;
    passage->head = std::move(fields);
    if (const auto secrets = gate_.secrets(passage->story)) {
      mask_headers(secrets, passage->head);
      if (!end && !look_through(*passage, secrets)) return;
    }
    if (!passage->mask || !passage->mask->undecided()) begin_response(*passage, end);
  }

  bool look_through(Passage& passage, const http::SecretFormsPtr& secrets) {
    // What a CONNECT opens is another protocol.
    const bool opens = !passage.request.protocol.empty() && passage.story.status / 100 == 2;
    if (opens && passage.request.protocol != "websocket") return true;
    passage.loan = gate_.borrow(opens ? http::WebSocketMask::kMemory
                                      : MaskedStream::kMaxAhead + http::EchoMask::memory_for(passage.head));
    if (passage.loan && opens) passage.mask.emplace(secrets);
    if (passage.loan && !opens) passage.mask.emplace(secrets, passage.head);
    if (passage.loan) return true;
    upstream_.end_later(passage.upstream, Http2Error::cancel);
    refuse(passage, gate_.lacks_memory(passage.json));
    return false;
  }

  void begin_response(Passage& passage, bool end) {
    if (std::exchange(passage.response_begun, true)) return;
    if (passage.mask && passage.mask->decodes()) http::EchoMask::strip_coding(passage.head);
    if (!guest_.session().submit_response(passage.guest, std::exchange(passage.head, {}), end)) {
      upstream_.end_later(passage.upstream, Http2Error::cancel);
    }
  }

  void on_interim_response(StreamId stream, http::HeaderList fields) {
    trial_.end();
    const Passage* passage = find_upstream(stream);
    if (passage == nullptr) return;
    if (const auto secrets = gate_.secrets(passage->story)) mask_headers(secrets, fields);
    if (!guest_.session().submit_informational(passage->guest, fields)) {
      upstream_.end_later(stream, Http2Error::cancel);
    }
  }

  void on_response_data(StreamId stream, ByteView bytes, bool end) {
    Passage* passage = find_upstream(stream);
    if (passage == nullptr) return upstream_.session().consume(stream, bytes.size());
    passage->story.bytes_in += bytes.size();
    passage->response_ended = passage->response_ended || end;
    if (passage->mask) return static_cast<void>(pass_masked(*passage, bytes, end, end));
    if (!guest_.session().send_data(passage->guest, bytes, end)) upstream_.session().consume(stream, bytes.size());
  }

  void on_response_trailers(StreamId stream, http::HeaderList fields) {
    Passage* passage = find_upstream(stream);
    if (passage == nullptr) return;
    passage->response_ended = true;
    if (!hold_trailers(*passage, fields)) return;
    if (const auto secrets = gate_.secrets(passage->story)) mask_headers(secrets, fields);
    if (passage->mask && !pass_masked(*passage, {}, true, false)) return;
    if (!guest_.session().send_trailers(passage->guest, fields)) end_both(*passage, Http2Error::internal_error);
  }

  // `last`: of the body; `end`: and of the response.
  bool pass_masked(Passage& passage, ByteView bytes, bool last, bool end) {
    std::vector<std::uint8_t> out;
    if (!passage.mask->feed(bytes, last, out)) {
      upstream_.end_later(passage.upstream, Http2Error::cancel);
      if (passage.story.error.empty()) fail(passage, std::string(passage.mask->error()));
      return false;
    }
    if (passage.mask->undecided()) return true;
    begin_response(passage, false);
    const bool sent = (out.empty() && !end) || guest_.session().send_data(passage.guest, out, end);
    upstream_.session().consume(passage.upstream, passage.mask->consumed(sent ? 0 : out.size()));
    return true;
  }

  void on_request_sent(StreamId stream, std::size_t bytes) {
    Passage* passage = find_upstream(stream);
    if (passage != nullptr) guest_.session().consume(passage->guest, bytes_to_consume(*passage, bytes));
  }

  // A server that has answered may tell the client to keep the rest of its request (RFC 9113, 8.1): the answer must
  // reach the guest first. One that has not must not make half an answer look like a whole one.
  void on_upstream_reset(StreamId stream, Http2Error error) {
    Passage* passage = find_upstream(stream);
    if (passage == nullptr) return;
    trial_.end();
    if (passage->response_ended) return guest_.session().stop_request(passage->guest, error);
    passage->story.error = "the upstream reset the stream";
    if (passage->guest_closed) return;
    guest_.end_later(passage->guest, error == Http2Error::no_error ? Http2Error::internal_error : error);
  }

  void on_upstream_closed(StreamId stream) {
    Passage* passage = find_upstream(stream);
    if (passage == nullptr) return;
    passage->upstream_closed = true;
    settle(*passage);
    open_waiting();
  }

  // What it did not look at may be tried again, by the guest and on another connection.
  void on_upstream_goaway(StreamId last) {
    const auto is_taken = [last](const auto& entry) {
      return entry.second.upstream != 0 && entry.second.upstream <= last;
    };
    if (trial_.lasts() && std::ranges::none_of(passages_, is_taken)) {
      recall(true);
      return trial_.give_up();
    }
    upstream_gone_ = true;
    guest_.session().announce_shutdown();
    for (auto& entry : passages_) {
      if (!is_taken(entry) && !entry.second.response_begun) refuse_retryable(entry.second);
    }
    queue_.clear();
    guest_.session().goaway(Http2Error::no_error);
  }

  void on_upstream_pong() {
    trial_.on_pong();
    open_waiting();
  }

  void on_upstream_settings() {
    if (upstream_.session().peer_takes_connect_protocol()) guest_.session().offer_connect_protocol();
    open_waiting();
  }

  // ---- ends

  // The request is under way and cannot be refused as a whole any more.
  void refuse_trailers(Passage& passage) {
    passage.story.error = to_string(http::BodyFault::trailer_not_allowed);
    gate_.refuse_malformed(passage.story.error, passage.json);
    end_both(passage, Http2Error::protocol_error);
  }

  bool hold_trailers(Passage& passage, const http::HeaderList& fields) {
    if (passage.held.grow(memory_of(fields))) return true;
    passage.story.error = "there is no memory for its trailers";
    end_both(passage, Http2Error::internal_error);
    return false;
  }

  void refuse_retryable(Passage& passage) {
    passage.story.error = "the upstream takes no more requests on this connection";
    end_both(passage, Http2Error::refused_stream);
  }

  void end_both(Passage& passage, Http2Error error) {
    if (!passage.guest_closed) guest_.end_later(passage.guest, error);
    if (passage.upstream != 0 && !passage.upstream_closed) upstream_.end_later(passage.upstream, Http2Error::cancel);
  }

  void fail(Passage& passage, const std::string& why) {
    passage.story.error = why;
    const Refused refused = gate_.upstream_failed(why, passage.json);
    if (passage.response_begun) return end_both(passage, Http2Error::internal_error);
    passage.story.status = refused.status;
    answer(passage, refused);
  }

  // Admitted, and goes nowhere all the same.
  void refuse(Passage& passage, const Refused& refused) {
    passage.story.status = refused.status;
    passage.story.error = refused.words;
    answer(passage, refused);
  }

  void answer(StreamId stream, const http::RequestMessage& request, const Refused& refused, bool json) {
    mediator::answer(guest_.session(), stream, request, refused, json);
  }

  void answer(Passage& passage, const Refused& refused) {
    passage.response_begun = passage.response_ended = true;
    answer(passage.guest, passage.request, refused, passage.json);
  }

  // The guest's streams go on to their ends: with what is here of their responses where that is all, or with an error.
  void end_upstream() {
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

  void end_early(Passage& passage, const std::string& why) {
    passage.upstream_closed = true;
    if (passage.guest_closed) return;
    if (passage.response_ended) return guest_.session().stop_request(passage.guest, Http2Error::no_error);
    if (!passage.response_begun) return fail(passage, why);
    passage.story.error = why;
    end_both(passage, Http2Error::internal_error);
  }

  // Both of its streams are over.
  void settle(Passage& passage) {
    const bool upstream_done = passage.upstream == 0 || passage.upstream_closed;
    if (!passage.guest_closed || !upstream_done) return;
    gate_.record(passage.story);
    if (passage.gathers) gathered_ -= passage.taken;
    // What will never leave the partner's queue is nobody's any more: the rest of the connection needs its window.
    guest_.session().consume(passage.guest, kAll);
    upstream_.session().consume(passage.upstream, kAll);
    by_upstream_.erase(passage.upstream);
    passages_.erase(passage.guest);
  }

  Passage* find(StreamId guest) {
    const auto found = passages_.find(guest);
    return found == passages_.end() ? nullptr : &found->second;
  }
  Passage* find_upstream(StreamId upstream) {
    const auto found = by_upstream_.find(upstream);
    return found == by_upstream_.end() ? nullptr : find(found->second);
  }

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
  asio::steady_timer equip_wake_;
  std::size_t gathered_ = 0;    // by all passages that gather
  std::string trouble_;         // of the upstream's connection, which nothing takes the place of
  bool upstream_gone_ = false;  // it takes no more requests
  bool upstream_ended_ = false;
};

}  // namespace

asio::awaitable<void> relay_http2(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate) {
  Http2Relay relay(guest, upstream, gate.take_session(), scheme, gate);
  co_await relay.run();
}

}  // namespace microagent::mediator

// A guest's request on its way to the upstream: judged, equipped with what the guest does not hold, its body gathered
// where something in it is to be replaced, and sent on as soon as the upstream takes another stream.

#include <algorithm>
#include <utility>

#include "http/body_reader.h"
#include "http/http2_message.h"
#include "http/refusal.h"
#include "http/secret_placement.h"
#include "mediator/relay_http2_impl.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kMaxGathered = 8 * 1024 * 1024;

}  // namespace

// ---- its head

void Http2Relay::on_request(StreamId stream, const http::HeaderList& fields, bool end) {
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
asio::awaitable<void> Http2Relay::equip_waiting() {
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

void Http2Relay::send_on(Passage& passage) {
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

void Http2Relay::queue(Passage& passage) {
  if (upstream_gone_) return refuse_retryable(passage);
  queue_.push_back(passage.guest);
  open_waiting();
}

void Http2Relay::open_waiting() {
  if (changes_) {
    wanted_.cancel();
    return;
  }
  while (!queue_.empty() && upstream_.session().may_open()) {
    Passage* passage = find(queue_.front());
    const bool is_wanted = passage != nullptr && !passage->guest_closed;
    if (is_wanted && trial_.is_doubtful() && !may_be_risked(*passage)) return;
    queue_.pop_front();
    if (is_wanted) open(*passage);
  }
}

void Http2Relay::open(Passage& passage) {
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

// ---- the rest of it

void Http2Relay::on_request_data(StreamId stream, ByteView bytes, bool end) {
  Passage* passage = find(stream);
  if (passage == nullptr) return guest_.session().consume(stream, bytes.size());
  passage->guest_ended = passage->guest_ended || end;
  passage->story.bytes_out += bytes.size();
  if (passage->upstream_closed) return guest_.session().consume(stream, bytes.size());
  if (passage->upstream == 0) {
    passage->waiting.insert(passage->waiting.end(), bytes.begin(), bytes.end());
    if (passage->gathers) gather(*passage, bytes.size());
    return;
  }
  if (!upstream_.session().send_data(passage->upstream, bytes, end)) guest_.session().consume(stream, bytes.size());
}

// So many more bytes wait; the guest may send on for them, since they go nowhere before all are here. On all streams
// together no more may wait than the connection's window would let.
void Http2Relay::gather(Passage& passage, std::size_t more) {
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

void Http2Relay::on_request_trailers(StreamId stream, http::HeaderList fields) {
  Passage* passage = find(stream);
  if (passage == nullptr) return;
  passage->guest_ended = true;
  if (std::ranges::any_of(fields, [](const http::Header& field) { return http::is_head_only(field.name); })) {
    return refuse_trailers(*passage);
  }
  if (!hold_trailers(*passage, fields) || passage->upstream_closed) return;
  if (passage->upstream == 0) {
    passage->trailers = std::move(fields);
    if (passage->gathers) gather(*passage, 0);
  } else if (!upstream_.session().send_trailers(passage->upstream, fields)) {
    upstream_.end_later(passage->upstream, Http2Error::internal_error);
  }
}

void Http2Relay::on_request_sent(StreamId stream, std::size_t bytes) {
  Passage* passage = find_upstream(stream);
  if (passage != nullptr) guest_.session().consume(passage->guest, bytes_to_consume(*passage, bytes));
}

void Http2Relay::on_guest_reset(StreamId stream, Http2Error error) {
  Passage* passage = find(stream);
  if (passage == nullptr) return;
  passage->story.error = "the guest reset the stream";
  if (passage->upstream != 0 && !passage->upstream_closed) upstream_.end_later(passage->upstream, error);
}

}  // namespace microagent::mediator

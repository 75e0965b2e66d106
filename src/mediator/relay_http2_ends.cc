// How a passage ends: with both of its streams, with an answer of ours, or with an error for whom is still there.

#include <limits>
#include <utility>

#include "http/body_reader.h"
#include "mediator/relay_http2_impl.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

}  // namespace

void Http2Relay::on_guest_closed(StreamId stream) {
  Passage* passage = find(stream);
  if (passage == nullptr) return;
  passage->guest_closed = true;
  settle(*passage);
}

void Http2Relay::on_upstream_closed(StreamId stream) {
  Passage* passage = find_upstream(stream);
  if (passage == nullptr) return;
  passage->upstream_closed = true;
  settle(*passage);
  open_waiting();
}

// Both of its streams are over.
void Http2Relay::settle(Passage& passage) {
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

// ---- before their time

void Http2Relay::fail(Passage& passage, const std::string& why) {
  passage.story.error = why;
  const Refused refused = gate_.upstream_failed(why, passage.json);
  if (passage.response_begun) return end_both(passage, Http2Error::internal_error);
  passage.story.status = refused.status;
  answer(passage, refused);
}

// Admitted, and goes nowhere all the same.
void Http2Relay::refuse(Passage& passage, const Refused& refused) {
  passage.story.status = refused.status;
  passage.story.error = refused.words;
  answer(passage, refused);
}

void Http2Relay::answer(StreamId stream, const http::RequestMessage& request, const Refused& refused, bool json) {
  mediator::answer(guest_.session(), stream, request, refused, json);
}

void Http2Relay::answer(Passage& passage, const Refused& refused) {
  passage.response_begun = passage.response_ended = true;
  answer(passage.guest, passage.request, refused, passage.json);
}

void Http2Relay::refuse_retryable(Passage& passage) {
  passage.story.error = "the upstream takes no more requests on this connection";
  end_both(passage, Http2Error::refused_stream);
}

// The request is under way and cannot be refused as a whole any more.
void Http2Relay::refuse_trailers(Passage& passage) {
  passage.story.error = to_string(http::BodyFault::trailer_not_allowed);
  gate_.refuse_malformed(passage.story.error, passage.json);
  end_both(passage, Http2Error::protocol_error);
}

bool Http2Relay::hold_trailers(Passage& passage, const http::HeaderList& fields) {
  if (passage.held.grow(memory_of(fields))) return true;
  passage.story.error = "there is no memory for its trailers";
  end_both(passage, Http2Error::internal_error);
  return false;
}

void Http2Relay::end_both(Passage& passage, Http2Error error) {
  if (!passage.guest_closed) guest_.end_later(passage.guest, error);
  if (passage.upstream != 0 && !passage.upstream_closed) upstream_.end_later(passage.upstream, Http2Error::cancel);
}

void Http2Relay::end_early(Passage& passage, const std::string& why) {
  passage.upstream_closed = true;
  if (passage.guest_closed) return;
  if (passage.response_ended) return guest_.session().stop_request(passage.guest, Http2Error::no_error);
  if (!passage.response_begun) return fail(passage, why);
  passage.story.error = why;
  end_both(passage, Http2Error::internal_error);
}

}  // namespace microagent::mediator

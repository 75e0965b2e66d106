// The upstream's response on its way back to the guest, looked through for what it must not show.

#include <utility>
#include <vector>

#include "http/http2_message.h"
#include "http/secret_mask.h"
#include "mediator/relay_http2_impl.h"

namespace microagent::mediator {

void Http2Relay::on_response(StreamId stream, http::HeaderList fields, bool end) {
  trial_.end();
  has_answered_ = true;
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

bool Http2Relay::look_through(Passage& passage, const http::SecretFormsPtr& secrets) {
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

void Http2Relay::begin_response(Passage& passage, bool end) {
  if (std::exchange(passage.response_begun, true)) return;
  if (passage.mask && passage.mask->decodes()) http::EchoMask::strip_coding(passage.head);
  if (!guest_.session().submit_response(passage.guest, std::exchange(passage.head, {}), end)) {
    upstream_.end_later(passage.upstream, Http2Error::cancel);
  }
}

void Http2Relay::on_interim_response(StreamId stream, http::HeaderList fields) {
  trial_.end();
  const Passage* passage = find_upstream(stream);
  if (passage == nullptr) return;
  if (const auto secrets = gate_.secrets(passage->story)) mask_headers(secrets, fields);
  if (!guest_.session().submit_informational(passage->guest, fields)) {
    upstream_.end_later(stream, Http2Error::cancel);
  }
}

void Http2Relay::on_response_data(StreamId stream, ByteView bytes, bool end) {
  Passage* passage = find_upstream(stream);
  if (passage == nullptr) return upstream_.session().consume(stream, bytes.size());
  passage->story.bytes_in += bytes.size();
  passage->response_ended = passage->response_ended || end;
  if (passage->mask) return static_cast<void>(pass_masked(*passage, bytes, end, end));
  if (!guest_.session().send_data(passage->guest, bytes, end)) upstream_.session().consume(stream, bytes.size());
}

// `last`: of the body; `end`: and of the response.
bool Http2Relay::pass_masked(Passage& passage, ByteView bytes, bool last, bool end) {
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

void Http2Relay::on_response_trailers(StreamId stream, http::HeaderList fields) {
  Passage* passage = find_upstream(stream);
  if (passage == nullptr) return;
  passage->response_ended = true;
  if (!hold_trailers(*passage, fields)) return;
  if (const auto secrets = gate_.secrets(passage->story)) mask_headers(secrets, fields);
  if (passage->mask && !pass_masked(*passage, {}, true, false)) return;
  if (!guest_.session().send_trailers(passage->guest, fields)) end_both(*passage, Http2Error::internal_error);
}

void Http2Relay::on_response_sent(StreamId stream, std::size_t bytes) {
  Passage* passage = find(stream);
  if (passage == nullptr || passage->upstream == 0) return;
  upstream_.session().consume(passage->upstream, passage->mask ? passage->mask->consumed(bytes) : bytes);
}

// A server that has answered may tell the client to keep the rest of its request (RFC 9113, 8.1): the answer must
// reach the guest first. One that has not must not make half an answer look like a whole one.
void Http2Relay::on_upstream_reset(StreamId stream, Http2Error error) {
  Passage* passage = find_upstream(stream);
  if (passage == nullptr) return;
  trial_.end();
  if (passage->response_ended) return guest_.session().stop_request(passage->guest, error);
  passage->story.error = "the upstream reset the stream";
  if (passage->guest_closed) return;
  guest_.end_later(passage->guest, error == Http2Error::no_error ? Http2Error::internal_error : error);
}

}  // namespace microagent::mediator

#pragma once

// Carries an intercepted connection between the guest and its upstream, once both are there, until either is done.
// Cancelling the coroutine ends both. What the guest sends after a relay is over is its caller's to take, so that no
// reset overtakes the last answer (part_from() in guest_http.h).

#include <string>

#include "http/message.h"
#include "mediator/request_gate.h"
#include "mediator/stream.h"

namespace microagent::mediator {

// HTTP/1: one request after the other, each of them judged; bodies pass as they come, byte for byte.
asio::awaitable<void> relay_http1(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate);

// An upstream that somebody else speaks with, or that there is none of yet.
struct Http1Upstream {
  Stream* stream = nullptr;              // null: the gate makes one (replace_upstream()) once a request wants it
  const std::string* trouble = nullptr;  // why it ended, where that is known better than from the stream
};
asio::awaitable<void> relay_http1(Stream& guest, Http1Upstream upstream, http::Scheme scheme, RequestGate& gate);

// HTTP/2: streams side by side, each of them judged.
asio::awaitable<void> relay_http2(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate);

// Translated: the guest speaks HTTP/1 and the upstream HTTP/2, or the other way round. What passes is judged as HTTP/1.
asio::awaitable<void> relay_http1_to_http2(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate);
asio::awaitable<void> relay_http2_to_http1(Stream& guest, http::Scheme scheme, RequestGate& gate);

// Anything else: bytes, with half-closes.
asio::awaitable<void> relay_bytes(Stream& guest, Stream& upstream);

// Answers the guest's first request with a failure, and ends: there is no upstream.
asio::awaitable<void> answer_with_failure(Stream& guest, std::string why, RequestGate& gate);

}  // namespace microagent::mediator

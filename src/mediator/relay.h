#pragma once

// Carries an intercepted connection between the guest and its upstream, once both are there, until either is done.
// Cancelling the coroutine ends both. What the guest sends after a relay is over is its caller's to take, so that no
// reset overtakes the last answer (part_from() in guest_http.h).

#include "http/message.h"
#include "mediator/request_gate.h"
#include "mediator/stream.h"

namespace microagent::mediator {

// HTTP/1: one request after the other, each of them judged; bodies pass as they come, byte for byte.
asio::awaitable<void> relay_http1(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate);

// HTTP/2: streams side by side, each of them judged.
asio::awaitable<void> relay_http2(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate);

// Anything else: bytes, with half-closes.
asio::awaitable<void> relay_bytes(Stream& guest, Stream& upstream);

// Answers the guest's first request with a failure, and ends: there is no upstream.
asio::awaitable<void> answer_with_failure(Stream& guest, std::string why, RequestGate& gate);

}  // namespace microagent::mediator

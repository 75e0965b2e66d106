#pragma once

// The little HTTP server that speaks with the guest: one request, one response, the end.

#include <functional>
#include <string>

#include "http/request_head.h"
#include "mediator/io.h"

namespace microagent::mediator {

// Makes a whole response to a request whose head was read.
using Responder = std::function<std::string(const http::RequestHead&)>;

// Reads one request head off `stream` and answers it; what is no request gets a 400. Then it takes what the guest still
// sends, so that no reset overtakes the answer, until the guest ends or the time is up.
asio::awaitable<void> serve_request(Descriptor stream, Responder responder);

// The same with an answer that is already known.
asio::awaitable<void> serve_answer(Descriptor stream, std::string answer);

// Ends our half of a stream, and takes what the guest still sends, as serve_request() does.
asio::awaitable<void> part_from(Descriptor& stream);

// A connected pair of nonblocking streams: ours, under the event loop's care, and the guest's.
struct GuestStream {
  Descriptor ours;
  Fd guests;
};
Result<GuestStream> open_guest_stream(const asio::any_io_executor& executor);

}  // namespace microagent::mediator

#pragma once

// The guest's side of DNS: queries off one flow, answers back onto it, many at a time (A and AAAA come together, and a
// slow name must not hold up a quick one), in the order in which they are ready.

#include <functional>
#include <optional>
#include <variant>

#include "dns/lookup.h"
#include "mediator/io.h"

namespace microagent::mediator {

// Queries of one flow that may be under way at once; no further ones are read meanwhile.
inline constexpr std::size_t kMaxQueriesPerFlow = 256;

// The answer to a message; nothing where there is to be none.
using Answered = std::optional<dns::Bytes>;
// What becomes of one message: it is answered at once, or it takes a while. A coroutine costs more than an answer from
// the cache does.
using Answerer = std::function<std::variant<Answered, asio::awaitable<Answered>>(ByteView message)>;

// Serves `socket` until its other end closes or stays silent for 30 s; answers under way are still delivered. UDP: a
// packet socket, one message a packet. TCP: a stream with two bytes of length before each message (RFC 1035, 4.2.2).
asio::awaitable<void> converse(Descriptor socket, dns::Transport transport, Answerer answer);

}  // namespace microagent::mediator

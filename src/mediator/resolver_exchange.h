#pragma once

#include <string>

#include "dns/lookup.h"
#include "mediator/io.h"

namespace microagent::mediator {

// Asks one resolver once, from a socket and so a port of its own, over UDP until an answer fits: forged and stray
// datagrams do not end the wait. Empty when it answered, however badly; else what went wrong.
asio::awaitable<std::string> ask_resolver(dns::Lookup& lookup, const dns::Lookup::Attempt& attempt, Deadline deadline);

// 16 bits that nobody can guess.
std::uint16_t random_query_id();

}  // namespace microagent::mediator

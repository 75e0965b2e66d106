#pragma once

// Where HTTP/1 messages end, judged so that no other reader can see another end (RFC 9112, 6 and 11.2).

#include <string_view>

#include "http/message.h"

namespace microagent::http {

// One line of a head or of trailers, without its end.
MessageFault parse_header_line(std::string_view line, Header& out);

// An upgrade to HTTP itself would take requests out of sight, to TLS (RFC 2817) too. Within TLS nobody asks for it but
// to smuggle; without, clients do with every request, and anybody may ignore the wish (RFC 9110, 7.8): it goes no
// further, with what Connection says of it, and the request is like any other.
void ignore_hiding_upgrades(HeaderList& headers);

MessageFault check_request_framing(const RequestMessage& request);
MessageFault check_response_framing(const ResponseMessage& response);

// A Content-Length's value; nothing when it is no plain decimal number below 2^63.
std::optional<std::uint64_t> parse_length(std::string_view text);

}  // namespace microagent::http

#pragma once

// Where HTTP/1 messages end, judged so that no other reader can see another end (RFC 9112, 6 and 11.2).

#include <string_view>

#include "http/message.h"

namespace microagent::http {

// One line of a head or of trailers, without its end.
MessageFault parse_header_line(std::string_view line, Header& out);

MessageFault check_request_framing(const RequestMessage& request);
MessageFault check_response_framing(const ResponseMessage& response);

// A Content-Length's value; nothing when it is no plain decimal number below 2^63.
std::optional<std::uint64_t> parse_length(std::string_view text);

}  // namespace microagent::http

#pragma once

// HTTP/2's header fields as the messages that rules are applied to, and back; and the way between the versions
// (RFC 9113, 8.2 and 8.3).

#include "http/message.h"

namespace microagent::http {

// The session has checked the fields as RFC 9113 wants them; here is what a man in the middle wants beside: one host,
// a path that an HTTP/1 server would read the same, no CONNECT but the extended one, a length that everybody reads the
// same.
MessageFault parse_http2_request(const HeaderList& fields, RequestMessage& out);
MessageFault parse_http2_response(const HeaderList& fields, ResponseMessage& out);

// Fields to submit, pseudo-headers in front. From HTTP/1: names in lower case, headers of the connection left out, TE
// kept only as "trailers", an upgrade to WebSocket turned into extended CONNECT.
HeaderList http2_fields(const RequestMessage& request);
HeaderList http2_fields(const ResponseMessage& response);
// Trailers of HTTP/1 as HTTP/2 wants them.
HeaderList http2_trailers(const HeaderList& trailers);

// An HTTP/2 request as HTTP/1.1 would say it: Host in front, cookies joined, chunked when there is a body of unknown
// length, extended CONNECT for WebSocket as an upgrade with `websocket_key`. `has_body`: the stream has not ended.
RequestMessage as_http1(const RequestMessage& request, bool has_body, std::string_view websocket_key = {});
// An HTTP/2 response towards an HTTP/1.1 client.
ResponseMessage as_http1(const ResponseMessage& response, const RequestMessage& request, bool has_body);

// The phrase that HTTP/1 puts behind a status: "Not Found"; empty for an unknown one.
std::string_view reason_phrase(std::uint16_t status);

}  // namespace microagent::http

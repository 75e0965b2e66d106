#pragma once

// Requests and responses as heads, and how much of what follows is theirs (RFC 9112, 6). Both versions of HTTP are
// judged by the same struct; HTTP/2's way into and out of it is http2_message.h.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/authority.h"
#include "http/headers.h"

namespace microagent::http {

enum class Scheme : std::uint8_t { http, https };
enum class Version : std::uint8_t { http_1_0, http_1_1, http_2 };

struct RequestMessage {
  std::string method;
  std::string target;  // as sent; HTTP/2's :path
  std::string path;    // of the target, without query, not normalised; "*" for OPTIONS *
  Scheme scheme = Scheme::http;
  Version version = Version::http_1_1;
  Authority authority;   // Host, :authority or an absolute target's, which must agree; empty: HTTP/1.0 may name nobody
  std::string protocol;  // HTTP/2's :protocol, "websocket" for example (RFC 8441)
  HeaderList headers;    // without pseudo-headers
};

struct ResponseMessage {
  std::uint16_t status = 0;
  std::string reason;  // HTTP/1 only
  Version version = Version::http_1_1;
  HeaderList headers;
};

enum class MessageFault : std::uint8_t {
  none,
  too_long,           // a head above kMaxMessageHead
  too_many_headers,   // above kMaxHeaders
  blank_before_head,  // an empty line in front
  bad_character,      // a control character, or a CR or LF that is not of a CRLF
  bad_request_line,
  bad_status_line,
  bad_version,  // neither HTTP/1.0 nor HTTP/1.1
  bad_target,   // none of the forms of RFC 9112, 3.2, or with a fragment or user in it
  bad_header,   // no token and colon, or white space before the colon
  folded_header,
  connect,       // the CONNECT method, which is for proxies
  http_upgrade,  // an upgrade to another version of HTTP, or HTTP2-Settings
  no_host,
  several_hosts,
  bad_host,
  host_differs,    // Host is another than the absolute target's
  scheme_differs,  // an absolute target of another scheme than the connection's
  bad_length,      // a Content-Length that is no plain decimal number, or too large
  several_lengths,
  length_and_coding,         // Content-Length beside Transfer-Encoding
  unknown_coding,            // a Transfer-Encoding that is not "chunked" alone
  coding_not_allowed,        // Transfer-Encoding in HTTP/1.0, or in a response that has no body
  length_not_allowed,        // Content-Length in a 1xx or 204
  look_alike,                // a name that some servers read as Content-Length, Transfer-Encoding or Host
  connection_names_framing,  // Connection names a header that says where the message ends or whom it is for
  unasked_upgrade,           // 101 to a request that asked for no upgrade, or for another
  bad_pseudo_header,         // HTTP/2: one missing, twice, unknown, or with a value it may not have
  connection_header,         // HTTP/2: a header that belongs to HTTP/1's connections
};
// For people: "more than one Content-Length".
std::string_view to_string(MessageFault fault);

inline constexpr std::size_t kMaxMessageHead = 64 * 1024;
inline constexpr std::size_t kMaxHeaders = 256;

struct Framing {
  enum class Kind : std::uint8_t {
    none,
    length,
    chunked,
    until_close,  // a response that ends with its connection
    tunnel,       // after 101: bytes of another protocol, both ways
  };
  Kind kind = Kind::none;
  std::uint64_t length = 0;  // of Kind::length; never 0
  bool operator==(const Framing&) const = default;
};

// Heads from the readers of head_reader.h are sound, so that their framing cannot fail.
Framing request_framing(const RequestMessage& request);
Framing response_framing(const RequestMessage& request, const ResponseMessage& response);

// What of a response's head depends on its request: whether a 101 was asked for.
MessageFault check_response(const RequestMessage& request, const ResponseMessage& response);

// 1xx but 101: another response follows.
bool is_interim(const ResponseMessage& response);

// The request asks to change the protocol. Nothing that follows it may pass before the response's head is known.
bool asks_upgrade(const RequestMessage& request);
bool expects_continue(const RequestMessage& request);

// After both messages the connection takes another request. Never after until_close or tunnel.
bool keeps_alive(const RequestMessage& request, const ResponseMessage& response);

// No harm is done where it is sent again because nobody can tell whether it arrived (RFC 9110, 9.2.2): its method says
// so, and all of it is in its head.
bool may_repeat(const RequestMessage& request);

// A head as it goes over the wire, with the empty line.
std::string encode_head(const RequestMessage& request);
std::string encode_head(const ResponseMessage& response);

}  // namespace microagent::http

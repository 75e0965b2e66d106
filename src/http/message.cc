#include "http/message.h"

#include <algorithm>
#include <array>

#include "http/grammar.h"

namespace microagent::http {
namespace {

std::string_view version_text(Version version) { return version == Version::http_1_0 ? "HTTP/1.0" : "HTTP/1.1"; }

std::size_t encoded_size(const HeaderList& headers) {
  std::size_t size = 2;
  for (const Header& header : headers) size += header.name.size() + header.value.size() + 4;
  return size;
}

void append_headers(std::string& out, const HeaderList& headers) {
  for (const Header& header : headers) {
    out.append(header.name).append(": ").append(header.value).append("\r\n");
  }
  out.append("\r\n");
}

bool is_persistent(const HeaderList& headers, Version version) {
  if (lists_word(headers, "connection", "close")) return false;
  return version != Version::http_1_0 || lists_word(headers, "connection", "keep-alive");
}

}  // namespace

std::string_view to_string(MessageFault fault) {
  switch (fault) {
    case MessageFault::none: return "nothing wrong";
    case MessageFault::too_long: return "a head that is too long";
    case MessageFault::too_many_headers: return "too many headers";
    case MessageFault::blank_before_head: return "an empty line before the head";
    case MessageFault::bad_character: return "a control character or a line end that is not CRLF";
    case MessageFault::bad_request_line: return "a request line that is none";
    case MessageFault::bad_status_line: return "a status line that is none";
    case MessageFault::bad_version: return "a version that is neither HTTP/1.0 nor HTTP/1.1";
    case MessageFault::bad_target: return "a request target that is none";
    case MessageFault::bad_header: return "a header line that is none";
    case MessageFault::folded_header: return "a folded header line";
    case MessageFault::connect: return "the method CONNECT";
    case MessageFault::http_upgrade: return "an upgrade to another HTTP or to TLS";
    case MessageFault::no_host: return "no Host";
    case MessageFault::several_hosts: return "more than one Host";
    case MessageFault::bad_host: return "a Host that is no host name";
    case MessageFault::host_differs: return "a Host that differs from the target's";
    case MessageFault::scheme_differs: return "a target whose scheme is not the connection's";
    case MessageFault::bad_length: return "a Content-Length that is no number";
    case MessageFault::several_lengths: return "more than one Content-Length";
    case MessageFault::length_and_coding: return "both Content-Length and Transfer-Encoding";
    case MessageFault::unknown_coding: return "a Transfer-Encoding that is not chunked";
    case MessageFault::coding_not_allowed: return "a Transfer-Encoding where none may be";
    case MessageFault::length_not_allowed: return "a Content-Length where none may be";
    case MessageFault::look_alike: return "a header that looks like one that ends the message";
    case MessageFault::connection_names_framing: return "a Connection that names Host or what ends the message";
    case MessageFault::unasked_upgrade: return "a change of protocol that was not asked for";
    case MessageFault::bad_pseudo_header: return "a pseudo-header that is missing or wrong";
    case MessageFault::connection_header: return "a header of HTTP/1's connections";
  }
  return "unknown";
}

bool may_repeat(const RequestMessage& request) {
  constexpr std::array<std::string_view, 6> kIdempotent{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
  return std::ranges::find(kIdempotent, request.method) != kIdempotent.end() && !asks_upgrade(request) &&
         request_framing(request).kind == Framing::Kind::none;
}

bool is_interim(const ResponseMessage& response) { return response.status < 200 && response.status != 101; }

bool asks_upgrade(const RequestMessage& request) {
  return request.version == Version::http_1_1 && find_header(request.headers, "upgrade") != nullptr &&
         lists_word(request.headers, "connection", "upgrade");
}

bool expects_continue(const RequestMessage& request) {
  return request.version != Version::http_1_0 && lists_word(request.headers, "expect", "100-continue");
}

bool keeps_alive(const RequestMessage& request, const ResponseMessage& response) {
  const Framing::Kind kind = response_framing(request, response).kind;
  return kind != Framing::Kind::until_close && kind != Framing::Kind::tunnel &&
         is_persistent(request.headers, request.version) && is_persistent(response.headers, response.version);
}

std::string encode_head(const RequestMessage& request) {
  std::string out;
  out.reserve(request.method.size() + request.target.size() + 12 + encoded_size(request.headers));
  out.append(request.method).append(" ").append(request.target).append(" ");
  out.append(version_text(request.version)).append("\r\n");
  append_headers(out, request.headers);
  return out;
}

std::string encode_head(const ResponseMessage& response) {
  std::string out;
  out.reserve(response.reason.size() + 16 + encoded_size(response.headers));
  out.append(version_text(response.version)).append(" ").append(std::to_string(response.status)).append(" ");
  out.append(response.reason).append("\r\n");
  append_headers(out, response.headers);
  return out;
}

}  // namespace microagent::http

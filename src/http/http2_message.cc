#include "http/http2_message.h"

#include <algorithm>

#include "base/ascii.h"
#include "http/framing.h"
#include "http/grammar.h"

namespace microagent::http {
namespace {

// What belongs to one connection of HTTP/1 and has no place in HTTP/2 (RFC 9113, 8.2.2).
bool is_of_connection(std::string_view name) {
  constexpr std::string_view kNames[] = {"connection",        "keep-alive", "proxy-connection",
                                         "transfer-encoding", "upgrade",    "http2-settings"};
  return std::ranges::any_of(kNames, [name](std::string_view other) { return same_word(name, other); });
}

struct Pseudo {
  std::string method, scheme, path, authority, protocol, status;
};

// Takes the pseudo-headers in front; false for one twice or unknown. nghttp2 has seen to it that none stands behind.
bool take_pseudo(const HeaderList& fields, Pseudo& pseudo, HeaderList& rest) {
  for (const Header& field : fields) {
    if (!field.name.starts_with(':')) {
      rest.push_back(field);
      continue;
    }
    std::string* place = field.name == ":method"      ? &pseudo.method
                         : field.name == ":scheme"    ? &pseudo.scheme
                         : field.name == ":path"      ? &pseudo.path
                         : field.name == ":authority" ? &pseudo.authority
                         : field.name == ":protocol"  ? &pseudo.protocol
                         : field.name == ":status"    ? &pseudo.status
                                                      : nullptr;
    if (place == nullptr || !place->empty() || field.value.empty() || !rest.empty()) return false;
    *place = field.value;
  }
  return true;
}

MessageFault check_fields(const HeaderList& fields) {
  for (const Header& field : fields) {
    if (is_of_connection(field.name)) return MessageFault::connection_header;
    if (!is_header_name(field.name) || !is_header_value(field.value)) return MessageFault::bad_header;
  }
  return MessageFault::none;
}

// One host, whether :authority or Host names it.
MessageFault take_authority(const Pseudo& pseudo, RequestMessage& request) {
  const std::size_t hosts = count_headers(request.headers, "host");
  if (hosts > 1) return MessageFault::several_hosts;
  if (hosts == 0 && pseudo.authority.empty()) return MessageFault::no_host;
  const std::string_view host = header_value(request.headers, "host");
  const auto named = parse_authority(pseudo.authority.empty() ? host : std::string_view(pseudo.authority));
  if (!named) return MessageFault::bad_host;
  request.authority = *named;
  if (hosts == 0) return MessageFault::none;
  const auto other = parse_authority(host);
  if (!other) return MessageFault::bad_host;
  const std::uint16_t port = request.scheme == Scheme::http ? 80 : 443;
  return same_host(*other, *named, port) ? MessageFault::none : MessageFault::host_differs;
}

bool is_target(std::string_view path, std::string_view method) {
  if (path == "*") return method == "OPTIONS";
  return path.starts_with('/') && std::ranges::all_of(path, is_visible) && path.find('#') == std::string_view::npos;
}

std::string authority_text(const RequestMessage& request) {
  if (const Header* host = find_header(request.headers, "host")) return host->value;
  const Authority& authority = request.authority;
  std::string text = authority.host;
  if (authority.address) {
    text = policy::to_string(*authority.address);
    if (authority.address->family == policy::Address::Family::ipv6) text = "[" + text + "]";
  }
  if (authority.port) text += ":" + std::to_string(*authority.port);
  return text;
}

// Names that Connection lists are of the connection, too (RFC 9110, 7.6.1).
void append_fields(HeaderList& out, const HeaderList& headers) {
  for (const Header& header : headers) {
    // TE is always named by Connection; its "trailers" is HTTP/2's as well, and gRPC depends on it.
    const bool is_te = same_word(header.name, "te");
    if (is_of_connection(header.name) || (!is_te && lists_word(headers, "connection", header.name))) continue;
    Header field{to_lower_ascii(header.name), header.value, header.never_index};
    if (is_te) {
      if (!lists_word(headers, "te", "trailers")) continue;
      field.value = "trailers";
    }
    out.push_back(std::move(field));
  }
}

}  // namespace

MessageFault parse_http2_request(const HeaderList& fields, RequestMessage& out) {
  Pseudo pseudo;
  out = {};
  out.version = Version::http_2;
  if (!take_pseudo(fields, pseudo, out.headers) || !pseudo.status.empty()) return MessageFault::bad_pseudo_header;
  if (same_word(pseudo.method, "CONNECT") && (pseudo.protocol.empty() || pseudo.method != "CONNECT")) {
    return MessageFault::connect;
  }
  if (!pseudo.protocol.empty() && (pseudo.method != "CONNECT" || !is_token(pseudo.protocol))) {
    return MessageFault::bad_pseudo_header;
  }
  if (!is_token(pseudo.method) || (pseudo.scheme != "http" && pseudo.scheme != "https")) {
    return MessageFault::bad_pseudo_header;
  }
  if (!is_target(pseudo.path, pseudo.method)) return MessageFault::bad_target;
  out.scheme = pseudo.scheme == "http" ? Scheme::http : Scheme::https;
  out.method = std::move(pseudo.method);
  out.target = std::move(pseudo.path);
  out.path = path_of(out.target);
  out.protocol = std::move(pseudo.protocol);
  if (const MessageFault fault = check_fields(out.headers); fault != MessageFault::none) return fault;
  if (const MessageFault fault = check_request_framing(out); fault != MessageFault::none) return fault;
  return take_authority(pseudo, out);
}

MessageFault parse_http2_response(const HeaderList& fields, ResponseMessage& out) {
  Pseudo pseudo;
  out = {};
  out.version = Version::http_2;
  if (!take_pseudo(fields, pseudo, out.headers)) return MessageFault::bad_pseudo_header;
  const std::string& status = pseudo.status;
  if (status.size() != 3 || !std::ranges::all_of(status, is_digit) || status[0] == '0' || !pseudo.method.empty() ||
      status == "101") {
    return MessageFault::bad_pseudo_header;
  }
  out.status = static_cast<std::uint16_t>(std::stoi(status));
  if (const MessageFault fault = check_fields(out.headers); fault != MessageFault::none) return fault;
  return check_response_framing(out);  // nghttp2 takes "05" for a length
}

HeaderList http2_fields(const RequestMessage& request) {
  HeaderList fields;
  fields.reserve(request.headers.size() + 5);
  const std::string upgrade = to_lower_ascii(header_value(request.headers, "upgrade"));
  const bool websocket = request.version != Version::http_2 && asks_upgrade(request) && upgrade == "websocket";
  fields.push_back({":method", websocket ? "CONNECT" : request.method});
  if (websocket || !request.protocol.empty()) {
    fields.push_back({":protocol", websocket ? "websocket" : request.protocol});
  }
  fields.push_back({":scheme", request.scheme == Scheme::http ? "http" : "https"});
  // Who translates invents none (RFC 9113, 8.3.1).
  if (std::string authority = authority_text(request); !authority.empty()) {
    fields.push_back({":authority", std::move(authority)});
  }
  std::string_view target = request.target;
  if (const std::size_t scheme = target.find("://"); !target.starts_with('/') && scheme != std::string_view::npos) {
    target.remove_prefix(std::min(target.find_first_of("/?", scheme + 3), target.size()));
  }
  fields.push_back({":path", (target.empty() || target.starts_with('?') ? "/" : "") + std::string(target)});
  append_fields(fields, request.headers);
  const auto is_replaced = [websocket](const Header& field) {
    return field.name == "host" || (websocket && (field.name == "sec-websocket-key" || field.name == "content-length"));
  };
  std::erase_if(fields, is_replaced);
  return fields;
}

HeaderList http2_fields(const ResponseMessage& response) {
  HeaderList fields;
  fields.reserve(response.headers.size() + 1);
  // The answer to extended CONNECT is 200, and there is no key to be proved (RFC 8441, 5.1).
  const bool upgraded = response.status == 101;
  fields.push_back({":status", upgraded ? "200" : std::to_string(response.status)});
  append_fields(fields, response.headers);
  if (upgraded) remove_header(fields, "sec-websocket-accept");
  return fields;
}

HeaderList http2_trailers(const HeaderList& trailers) {
  HeaderList fields;
  append_fields(fields, trailers);
  return fields;
}

RequestMessage as_http1(const RequestMessage& request, bool has_body, std::string_view websocket_key) {
  RequestMessage out = request;
  out.version = Version::http_1_1;
  out.headers.clear();
  out.headers.push_back({"host", authority_text(request)});
  std::optional<std::size_t> cookie;  // where it stands; HTTP/1 has only one (RFC 9113, 8.2.3)
  for (const Header& field : request.headers) {
    if (field.name == "host") continue;
    if (field.name == "cookie" && cookie) {
      out.headers[*cookie].value.append("; ").append(field.value);
      continue;
    }
    if (field.name == "cookie") cookie = out.headers.size();
    out.headers.push_back(field);
  }
  if (!request.protocol.empty()) {
    out.method = "GET";
    out.protocol.clear();
    remove_header(out.headers, "content-length");  // what follows is the other protocol's
    out.headers.push_back({"connection", "Upgrade"});
    out.headers.push_back({"upgrade", request.protocol});
    out.headers.push_back({"sec-websocket-key", std::string(websocket_key)});
    return out;
  }
  if (header_value(out.headers, "te") == "trailers") out.headers.push_back({"connection", "TE"});
  const bool has_length = find_header(out.headers, "content-length") != nullptr;
  if (has_body && !has_length) out.headers.push_back({"transfer-encoding", "chunked"});
  // Many servers answer 411 to those that could have a body and do not say that there is none.
  const bool could_have_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (!has_body && !has_length && could_have_body) out.headers.push_back({"content-length", "0"});
  return out;
}

ResponseMessage as_http1(const ResponseMessage& response, const RequestMessage& request, bool has_body) {
  ResponseMessage out = response;
  out.version = Version::http_1_1;
  out.reason = reason_phrase(response.status);
  const bool bodiless =
      response.status < 200 || response.status == 204 || response.status == 304 || request.method == "HEAD";
  if (bodiless || find_header(out.headers, "content-length") != nullptr) return out;
  if (!has_body) {
    out.headers.push_back({"content-length", "0"});
  } else if (request.version == Version::http_1_0) {
    out.headers.push_back({"connection", "close"});  // which is where its body ends
  } else {
    out.headers.push_back({"transfer-encoding", "chunked"});
  }
  return out;
}

}  // namespace microagent::http

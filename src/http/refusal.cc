#include "http/refusal.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "http/http2_message.h"

namespace microagent::http {
namespace {

constexpr std::size_t kMaxGrpcMessage = 4096;  // many clients bound a header list at 8 KiB

}  // namespace

bool wants_json(const RequestMessage& request) { return prefers_json(header_value(request.headers, "accept")); }

OwnResponse own_response(const RequestMessage& request, std::uint16_t status, bool json, std::string body,
                         bool keep_alive) {
  const bool http2 = request.version == Version::http_2;
  OwnResponse out;
  out.head.status = status;
  out.head.version = http2 ? Version::http_2 : Version::http_1_1;
  out.head.headers = {{"content-type", json ? "application/json; charset=utf-8" : "text/plain; charset=utf-8"},
                      {"content-length", std::to_string(body.size())},
                      {"cache-control", "no-store"},
                      {"x-content-type-options", "nosniff"}};
  if (!http2) {
    out.head.reason = reason_phrase(status);
    if (!keep_alive) out.head.headers.push_back({"connection", "close"});
  }
  if (request.method != "HEAD") out.body = std::move(body);
  return out;
}

bool is_grpc(const HeaderList& headers) {
  const std::string type = to_lower_ascii(header_value(headers, "content-type"));
  constexpr std::string_view kGrpc = "application/grpc";
  if (!type.starts_with(kGrpc)) return false;
  return type.size() == kGrpc.size() || std::string_view("+; ").find(type[kGrpc.size()]) != std::string_view::npos;
}

GrpcStatus grpc_status(std::uint16_t status) {
  switch (status) {
    case 403: return GrpcStatus::permission_denied;
    case 413: return GrpcStatus::resource_exhausted;
    case 502:
    case 503: return GrpcStatus::unavailable;
    default: return GrpcStatus::invalid_argument;
  }
}

OwnResponse grpc_response(std::uint16_t status, std::string_view message, bool keep_alive) {
  OwnResponse out;
  out.head.status = 200;
  out.head.reason = reason_phrase(out.head.status);
  out.head.headers = grpc_refusal(grpc_status(status), message);
  remove_header(out.head.headers, ":status");
  out.head.headers.push_back({"content-length", "0"});
  if (!keep_alive) out.head.headers.push_back({"connection", "close"});
  return out;
}

HeaderList grpc_refusal(GrpcStatus status, std::string_view message) {
  return {{":status", "200"},
          {"content-type", "application/grpc"},
          {"grpc-status", std::to_string(static_cast<unsigned>(status))},
          {"grpc-message", encode_grpc_message(message)}};
}

std::string encode_grpc_message(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= kMaxGrpcMessage) break;
    if (c >= ' ' && c <= '~' && c != '%') {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  // Blanks at the ends would not survive as a header's value.
  if (out.starts_with(' ')) out.replace(0, 1, "%20");
  if (out.ends_with(' ')) out.replace(out.size() - 1, 1, "%20");
  return out;
}

}  // namespace microagent::http

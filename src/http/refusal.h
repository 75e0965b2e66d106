#pragma once

// Responses that come from here and not from the upstream: to a request that was refused or could not be carried out.

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace microagent::http {

struct OwnResponse {
  ResponseMessage head;  // in the request's version
  std::string body;      // empty to HEAD
};

// `body` is JSON or text, as wants_json() said. In HTTP/1 the connection ends after it unless `keep_alive`.
OwnResponse own_response(const RequestMessage& request, std::uint16_t status, bool json, std::string body,
                         bool keep_alive = false);
bool wants_json(const RequestMessage& request);

// gRPC says what went wrong in grpc-status, with 200 and no body ("trailers-only"), whatever it was.
enum class GrpcStatus : std::uint8_t {
  invalid_argument = 3,
  permission_denied = 7,
  resource_exhausted = 8,
  internal = 13,
  unavailable = 14,
};
bool is_grpc(const HeaderList& headers);  // content-type: application/grpc, +proto, +json ...; not grpc-web
// Of an HTTP status.
GrpcStatus grpc_status(std::uint16_t status);
// The fields of an HTTP/2 response that ends the stream.
HeaderList grpc_refusal(GrpcStatus status, std::string_view message);
// The same as a response of HTTP/1.1, which comes to a client of gRPC as HTTP/2 all the same.
OwnResponse grpc_response(std::uint16_t status, std::string_view message, bool keep_alive);
// As grpc-message wants it: everything but visible ASCII as %XX.
std::string encode_grpc_message(std::string_view text);

}  // namespace microagent::http

#pragma once

// Where the requests of an intercepted connection are judged and written down, whatever version of HTTP carried them.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "http/message.h"

namespace microagent::mediator {

// A request that goes nowhere, and what the guest is told.
struct Refused {
  std::uint16_t status = 403;
  std::string words;  // one line, for gRPC
  std::string body;   // text, or JSON where the request prefers that
};

// One request from its head to its end.
struct RequestStory {
  RequestStory() = default;
  explicit RequestStory(const http::RequestMessage& request)
      : method(request.method), host(request.authority.host), path(request.path) {}

  std::string method, host, path;
  std::uint16_t status = 0;                   // 0: none was sent
  std::uint64_t bytes_out = 0, bytes_in = 0;  // of the bodies
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  std::string error;  // why it did not come to its end; empty where it did
};

class RequestGate {
 public:
  virtual ~RequestGate() = default;

  // Before anything of a request goes on. What is refused is in the audit log when this returns.
  virtual std::optional<Refused> admit(http::RequestMessage& request) = 0;
  // A request that every server must read the same way, and this one they would not.
  virtual Refused refuse_malformed(const std::string& fault, bool json) = 0;
  // The upstream did not answer as it should: 502.
  virtual Refused upstream_failed(const std::string& why, bool json) = 0;
  // A request that was admitted is over.
  virtual void record(const RequestStory& story) = 0;
};

}  // namespace microagent::mediator

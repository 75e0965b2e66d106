#pragma once

// A connection to an upstream whose certificate was believed, while nobody uses it: TLS and, where that carries HTTP/2
// and was used before, what both ends know of each other.

#include <memory>
#include <optional>

#include "http/http2_session.h"
#include "mediator/stream.h"

namespace microagent::mediator {

struct UpstreamConnection {
  std::unique_ptr<TlsStream> stream;
  std::optional<http::Http2Session> http2 = std::nullopt;

  explicit operator bool() const { return stream != nullptr; }
  // Between two requests: whether it can take the next one, as far as can be known here. HTTP/1.1 must be silent;
  // HTTP/2 has something to say at any time, which is heard, and may be that it goes away.
  bool is_ready();
};

}  // namespace microagent::mediator

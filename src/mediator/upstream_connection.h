#pragma once

// A connection to an upstream whose certificate was believed, while nobody uses it: TLS and, where that carries HTTP/2
// and was used before, what both ends know of each other.

#include <cstddef>
#include <memory>
#include <optional>

#include "http/http2_session.h"
#include "mediator/stream.h"

namespace microagent::mediator {

struct UpstreamConnection {
  // What an upstream may say while its connection rests. More than that is no matter of a connection at rest.
  static constexpr std::size_t kMostUnasked = 64 * 1024;

  std::unique_ptr<TlsStream> stream;
  std::optional<http::Http2Session> http2 = std::nullopt;
  std::size_t heard = 0;  // since it came to rest

  explicit operator bool() const { return stream != nullptr; }
  // Between two requests: whether it can take the next one, as far as can be known here. HTTP/1.1 must be silent;
  // HTTP/2 has something to say at any time, which is heard and answered, and may be that it goes away.
  bool is_ready();
  // It is not to be used again, and its upstream is told so, as far as that can be done without waiting: by a GOAWAY,
  // where it speaks HTTP/2, and the end of TLS.
  void part();
};

}  // namespace microagent::mediator

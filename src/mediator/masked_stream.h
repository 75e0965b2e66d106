#pragma once

// What an HTTP/2 stream brings from an upstream, looked through for a secret: a response's body, or the messages of a
// WebSocket (RFC 8441). And how much of it has gone on: where other bytes go on in their stead, those of the upstream
// have no count of their own.

#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "http/echo_mask.h"
#include "http/websocket_mask.h"

namespace microagent::mediator {

class MaskedStream {
 public:
  // Of a body that goes on decoded, what the guest has not read. There is no way to wait within an event.
  static constexpr std::size_t kMaxAhead = 1024 * 1024;

  // A body, of a response with this head.
  MaskedStream(http::SecretFormsPtr secrets, const http::HeaderList& head)
      : mask_(std::in_place_type<http::EchoMask>, std::move(secrets), head) {}
  // A WebSocket.
  explicit MaskedStream(http::SecretFormsPtr secrets)
      : mask_(std::in_place_type<http::WebSocketMask>, std::move(secrets)) {}

  // Appends to `out` what goes on; `last`: nothing follows. False: nothing goes on any more, and error() says why.
  bool feed(ByteView bytes, bool last, std::vector<std::uint8_t>& out);
  std::string_view error() const;

  bool undecided() const { return body() != nullptr && body()->undecided(); }  // the head must wait
  bool decodes() const { return body() != nullptr && body()->decodes(); }

  // So many bytes of what went on have left: how many of the upstream's have.
  std::size_t consumed(std::size_t sent);

 private:
  const http::EchoMask* body() const { return std::get_if<http::EchoMask>(&mask_); }
  void feed_body(http::EchoMask& mask, ByteView bytes, bool last, std::vector<std::uint8_t>& out);
  bool is_broken() const;

  std::variant<http::EchoMask, http::WebSocketMask> mask_;
  std::size_t unconsumed_ = 0;  // came
  std::size_t unread_ = 0;      // went on, and has not left
  bool too_far_ = false;
};

}  // namespace microagent::mediator

#pragma once

// The body of an HTTP/2 response that is looked through for a secret, and how much of what came has gone on: where
// other bytes go on in their stead, those of the upstream have no count of their own.

#include <string_view>
#include <vector>

#include "http/echo_mask.h"

namespace microagent::mediator {

class MaskedStream {
 public:
  // Of a body that goes on decoded, what the guest has not read. There is no way to wait within an event.
  static constexpr std::size_t kMaxAhead = 1024 * 1024;

  MaskedStream(http::SecretFormsPtr secrets, const http::HeaderList& head) : mask_(std::move(secrets), head) {}

  // Appends to `out` what goes on; `last`: nothing follows. False: nothing goes on any more, and error() says why.
  bool feed(ByteView bytes, bool last, std::vector<std::uint8_t>& out);
  std::string_view error() const;

  bool undecided() const { return mask_.undecided(); }  // the head must wait
  bool decodes() const { return mask_.decodes(); }

  // So many bytes of what went on have left: how many of the upstream's have.
  std::size_t consumed(std::size_t sent);

 private:
  bool is_broken() const { return too_far_ || mask_.fault() != http::EchoMask::Fault::none; }

  http::EchoMask mask_;
  std::size_t unconsumed_ = 0;  // came
  std::size_t unread_ = 0;      // went on, and has not left
  bool too_far_ = false;
};

}  // namespace microagent::mediator

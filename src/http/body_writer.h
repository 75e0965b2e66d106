#pragma once

// Frames a body as HTTP/1.1 sends it: as it is, or in chunks (RFC 9112, 7.1).

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "http/message.h"

namespace microagent::http {

class BodyWriter {
 public:
  // For the body of a message whose head says how it goes on.
  explicit BodyWriter(const HeaderList& headers) : chunked_(find_header(headers, "transfer-encoding") != nullptr) {}

  // Appends what goes over the wire for so much of the body.
  void append(std::vector<std::uint8_t>& out, ByteView payload) const;
  // The end. Trailers are left out where there is no place for them, which RFC 9110, 6.5.1 allows.
  void finish(std::vector<std::uint8_t>& out, const HeaderList& trailers = {}) const;

 private:
  bool chunked_;
};

}  // namespace microagent::http

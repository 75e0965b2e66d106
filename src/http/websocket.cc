#include "http/websocket.h"

#include "base/base64.h"
#include "base/sha1.h"

namespace microagent::http {

std::string websocket_key(const std::array<std::uint8_t, 16>& random) {
  return base64({reinterpret_cast<const char*>(random.data()), random.size()});
}

std::string websocket_accept(std::string_view key) {
  Sha1 digest;
  digest.feed(key);
  digest.feed(std::string_view("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
  const Sha1Digest bytes = digest.finish();
  return base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace microagent::http

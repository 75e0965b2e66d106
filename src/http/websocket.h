#pragma once

// The handshake of WebSocket in HTTP/1.1 (RFC 6455, 4), which HTTP/2 has no need of (RFC 8441, 5).

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace microagent::http {

// What a client sends as Sec-WebSocket-Key: 16 bytes that nobody can have known before.
std::string websocket_key(const std::array<std::uint8_t, 16>& random);
// What the server must answer to it as Sec-WebSocket-Accept.
std::string websocket_accept(std::string_view key);

}  // namespace microagent::http

#pragma once

// The frames of a WebSocket's server (RFC 6455, 5.2), and what they say.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microagent::http {

// A frame as RFC 6455, 5.2 has it.
inline std::string websocket_frame(std::uint8_t first, std::string_view payload) {
  std::string out(1, static_cast<char>(first));
  if (payload.size() < 126) out.push_back(static_cast<char>(payload.size()));
  else if (payload.size() < 65'536)
    out += {126, static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size())};
  else {
    out.push_back(127);
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(payload.size() >> shift));
  }
  return out.append(payload);
}
// What a client makes of a server's frames: its messages and control frames, each behind its opcode. Nothing where no
// client would take them. What is not whole at the end is left out.
inline std::optional<std::vector<std::string>> websocket_messages(std::string_view in) {
  std::vector<std::string> all;
  std::string open;
  while (in.size() >= 2) {
    const auto first = static_cast<std::uint8_t>(in[0]);
    std::uint64_t length = static_cast<std::uint8_t>(in[1]);
    const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (in.size() < 2 + more) break;
    if (more > 0) length = 0;
    for (std::size_t i = 0; i < more; ++i) length = length << 8 | static_cast<std::uint8_t>(in[2 + i]);
    in.remove_prefix(2 + more);
    if (in.size() < length) break;
    const std::string payload(in.substr(0, length));
    in.remove_prefix(length);
    const bool is_control = (first & 0x08) != 0, is_final = (first & 0x80) != 0;
    const std::string opcode = std::to_string(first & 0x0f) + " ";
    if (is_control) all.push_back(opcode + payload);
    if (is_control) continue;
    if (((first & 0x0f) == 0) == open.empty()) return std::nullopt;
    open += open.empty() ? opcode + payload : payload;
    if (is_final) all.push_back(std::exchange(open, {}));
  }
  return all;
}

}  // namespace microagent::http

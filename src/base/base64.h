#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace microagent {

inline constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
inline constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// RFC 4648, 4, with padding.
std::string base64(std::string_view bytes);
// Undone: with or without padding; nothing for what is none.
std::optional<std::string> decode_base64(std::string_view text);
// RFC 4648, 5, without padding.
std::string base64url(std::string_view bytes);

}  // namespace microagent

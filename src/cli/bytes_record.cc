#include "cli/bytes_record.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace microagent::cli {
namespace {

using Json = nlohmann::json;

// RFC 4648, 4.
std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(3, bytes.size()))) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) text += i <= bytes.size() ? kDigits[group >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

bool is_text(const std::string& content) {
  try {
    (void)Json(content).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

}  // namespace

void add_bytes(Json& record, const std::string& key, const std::string& bytes) {
  if (is_text(bytes)) record[key] = bytes;
  else record[key + "Base64"] = base64(bytes);
}

}  // namespace microagent::cli

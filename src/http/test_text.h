#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace microagent::http {

inline ByteView bytes_of_text(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace microagent::http

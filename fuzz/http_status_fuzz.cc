// The status line with which a guest's server answers a health check.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "cli/health_probe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const int code = microagent::cli::parse_http_status(text);
  MICROAGENT_CHECK(code == 0 || (code >= 100 && code <= 999));
  // What counts stands at the beginning: the rest changes nothing.
  MICROAGENT_CHECK(code == 0 || microagent::cli::parse_http_status(text.substr(0, 13)) == code);
  return 0;
}

#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "http/grammar.h"
#include "http/http2_session.h"

namespace microagent::http {

std::string_view to_string(Http2Error error) {
  const auto code = static_cast<std::uint32_t>(error);
  return code <= NGHTTP2_HTTP_1_1_REQUIRED ? nghttp2_http2_strerror(code) : "unknown";
}

bool is_sendable(const HeaderList& fields) {
  constexpr std::string_view kOfConnections[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding",
                                                 "upgrade"};
  bool regular = false;
  for (const Header& field : fields) {
    std::string_view name = field.name;
    const bool pseudo = name.starts_with(':');
    if (pseudo && regular) return false;
    regular = !pseudo;
    if (pseudo) name.remove_prefix(1);
    if (!is_token(name) || std::ranges::any_of(name, [](char c) { return c != lower(c); })) return false;
    if (!is_header_value(field.value) || std::ranges::find(kOfConnections, name) != std::end(kOfConnections)) {
      return false;
    }
    if (name == "te" && field.value != "trailers") return false;
  }
  return true;
}

}  // namespace microagent::http

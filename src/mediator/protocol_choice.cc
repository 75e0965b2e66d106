#include "mediator/protocol_choice.h"

#include <algorithm>

namespace microagent::mediator {
namespace {

// What gRPC offers before "h2", and its servers choose: HTTP/2 all the same.
constexpr std::string_view kAlpnGrpc = "grpc-exp";

// The first that the client would have.
std::string first_of(const std::vector<std::string>& offered, bool (*is)(std::string_view)) {
  const auto found = std::ranges::find_if(offered, is);
  return found == offered.end() ? std::string() : *found;
}

}  // namespace

bool is_http1(std::string_view alpn) { return alpn == kAlpnHttp1 || alpn == kAlpnHttp10; }
bool is_http2(std::string_view alpn) { return alpn == kAlpnHttp2 || alpn == kAlpnGrpc; }

bool offers(const std::vector<std::string>& offered, std::string_view protocol) {
  return std::ranges::find(offered, protocol) != offered.end();
}

std::vector<std::string> other_version(const std::vector<std::string>& offered) {
  const bool http1 = std::ranges::any_of(offered, is_http1), http2 = std::ranges::any_of(offered, is_http2);
  if (http1 == http2) return {};
  return {std::string(http1 ? kAlpnHttp2 : kAlpnHttp1)};
}

ProtocolChoice choose_protocol(const std::vector<std::string>& offered, std::string_view chosen) {
  if (offers(offered, chosen)) return {std::string(chosen)};
  const std::string http1 = first_of(offered, is_http1), http2 = first_of(offered, is_http2);
  if (is_http2(chosen) && !http1.empty()) return {http1, Translation::to_http2};
  // A server that knows nothing of ALPN speaks what was there before it.
  const bool speaks_http1 = is_http1(chosen) || chosen.empty();
  if (speaks_http1 && http1.empty() && !http2.empty()) return {http2, Translation::to_http1};
  return {std::string(chosen)};
}

}  // namespace microagent::mediator

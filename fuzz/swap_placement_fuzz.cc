// A guest's request on its way to a host with a swap. The input's first byte chooses the placement; then come the
// target and headers, a line each, and behind an empty line a body.

#include <algorithm>
#include <string>

#include "base/check.h"
#include "http/grammar.h"
#include "http/secret_placement.h"

namespace microagent::http {
namespace {

constexpr std::string_view kSecret = "S3cret+/\"&=%?";
constexpr std::string_view kPlaceholder = "placeholder";

std::string take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string line(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

policy::Placement placement_of(unsigned choice) {
  policy::Placement placement;
  if ((choice & 4) != 0) placement.placeholder = kPlaceholder;
  switch (choice & 3) {
    case 0: placement.header = "X-Api-Key"; break;
    case 1: placement.basic_user = "user"; break;
    case 2: placement.query = "key"; break;
    default: placement.placeholder = kPlaceholder;
  }
  return placement;
}

bool holds(std::string_view text, std::string_view what) { return text.find(what) != std::string_view::npos; }

HeaderList framing_of(const RequestMessage& request) {
  HeaderList framing = request.headers;
  std::erase_if(framing, [](const Header& header) { return policy::may_hold_secret(header.name); });
  return framing;
}

// Whatever the guest wrote: there is one secret of the placement's, in its place, and nothing else has changed.
void check(const policy::Placement& placement, const RequestMessage& before, const RequestMessage& after) {
  for (const Header& header : after.headers) {
    MICROAGENT_CHECK(is_header_value(header.value));
    if (placement.placeholder.empty() || !policy::may_hold_secret(header.name)) continue;
    MICROAGENT_CHECK(!holds(header.value, kPlaceholder));
  }
  MICROAGENT_CHECK(framing_of(after) == framing_of(before));
  if (!placement.header.empty()) {
    MICROAGENT_CHECK(count_headers(after.headers, placement.header) == 1);
    MICROAGENT_CHECK(header_value(after.headers, placement.header) == kSecret);
  }
  if (placement.basic_user) MICROAGENT_CHECK(count_headers(after.headers, "authorization") == 1);
  if (placement.query.empty()) {
    MICROAGENT_CHECK(after.target == before.target);
  } else if (before.target != "*") {
    MICROAGENT_CHECK(holds(after.target, "key=S3cret%2B%2F%22%26%3D%25%3F"));
    MICROAGENT_CHECK(path_of(after.target) == path_of(before.target));
    RequestMessage again = after;
    MICROAGENT_CHECK(place_secret(again, placement, kSecret) && again.target == after.target);
  }
}

}  // namespace
}  // namespace microagent::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace microagent;
  using namespace microagent::http;
  if (size < 1) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  RequestMessage request;
  request.method = "GET";
  request.version = (data[0] & 8) != 0 ? Version::http_2 : Version::http_1_1;
  request.target = take_line(text);
  while (!text.empty()) {
    const std::string line = take_line(text);
    if (line.empty()) break;
    const std::size_t colon = std::min(line.find(':'), line.size());
    Header header{line.substr(0, colon), colon < line.size() ? line.substr(colon + 1) : std::string()};
    if (is_header_name(header.name) && is_header_value(header.value)) request.headers.push_back(std::move(header));
  }
  const policy::Placement placement = placement_of(data[0]);
  static_cast<void>(wants_secret(request, placement));
  RequestMessage equipped = request;
  ask_readable(equipped, placement);
  if (place_secret(equipped, placement, kSecret)) check(placement, request, equipped);
  for (const TextKind kind : {TextKind::plain, TextKind::json, TextKind::form}) {
    const auto body = replace_in_body(kind, text, kPlaceholder, kSecret);
    MICROAGENT_CHECK(holds_placeholder(kind, text, kPlaceholder) == holds(text, kPlaceholder));
    MICROAGENT_CHECK(!body || (!holds(*body, kPlaceholder) && body->size() <= kMaxGrownBody));
  }
  return 0;
}

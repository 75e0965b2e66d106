#include "http/request_head.h"

#include <algorithm>

#include "http/grammar.h"
#include "http/headers.h"

namespace microagent::http {
namespace {

constexpr std::size_t kMaxMethod = 32;

}  // namespace

std::string_view to_string(HeadFault fault) {
  switch (fault) {
    case HeadFault::none: return "nothing wrong";
    case HeadFault::not_http: return "no HTTP";
    case HeadFault::too_long: return "a request head that is too long";
    case HeadFault::blank_before_request: return "an empty line before the request";
    case HeadFault::bad_line_end: return "a control character or a line end that is not CRLF";
    case HeadFault::bad_request_line: return "a request line that is none";
    case HeadFault::bad_header: return "a header line that is none";
    case HeadFault::folded_header: return "a folded header line";
    case HeadFault::no_host: return "no Host header";
    case HeadFault::several_hosts: return "more than one Host header";
    case HeadFault::bad_host: return "a Host that is no host name";
    case HeadFault::host_differs: return "a Host that differs from the target's";
  }
  return "unknown";
}

RequestHeadReader::State RequestHeadReader::feed(ByteView bytes) {
  for (const std::uint8_t byte : bytes) {
    if (state_ != State::incomplete) break;
    if (++received_ > kMaxHead) {
      fail(has_request_line_ ? HeadFault::too_long : HeadFault::not_http);
      break;
    }
    take(static_cast<char>(byte));
  }
  return state_;
}

void RequestHeadReader::take(char c) {
  if (c != '\n') {
    line_.push_back(c);
    // A method begins every request; anything longer than a method, or of other bytes, is another protocol.
    if (has_request_line_ || c == '\r') return;
    const std::size_t space = line_.find(' ');
    const std::string_view method = std::string_view(line_).substr(0, space);
    if (space == std::string::npos ? !is_token_character(c) || method.size() > kMaxMethod
                                   : method.empty() || (!is_visible(c) && c != ' ' && c != '\t')) {
      fail(HeadFault::not_http);
    }
    return;
  }
  std::string_view line = line_;
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  } else {
    later_fault_ = HeadFault::bad_line_end;
  }
  take_line(line);
  line_.clear();
}

void RequestHeadReader::take_line(std::string_view line) {
  if (!has_request_line_) {
    if (!line.empty()) return take_request_line(line);
    later_fault_ = HeadFault::blank_before_request;
    return;
  }
  if (later_fault_ != HeadFault::none) return fail(later_fault_);
  if (line.empty()) return finish();
  if (!std::ranges::all_of(line, is_field_character)) return fail(HeadFault::bad_line_end);
  take_header(line);
}

void RequestHeadReader::take_request_line(std::string_view line) {
  const std::size_t version_at = line.rfind("HTTP/");
  // Without a version it is at most HTTP/0.9, which has no headers and so names nobody.
  if (version_at == std::string_view::npos || version_at == 0) return fail(HeadFault::not_http);
  has_request_line_ = true;
  if (later_fault_ != HeadFault::none) return fail(later_fault_);

  const std::size_t first = line.find(' ');
  const std::size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos || second + 1 != version_at) return fail(HeadFault::bad_request_line);
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(version_at);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return fail(HeadFault::bad_request_line);
  if (!is_token(method) || method.size() > kMaxMethod || target.empty() || !std::ranges::all_of(target, is_visible)) {
    return fail(HeadFault::bad_request_line);
  }
  head_.http_1_0 = version == "HTTP/1.0";
  head_.method = method;
  head_.target = target;
  take_target(target);
}

// The four forms of RFC 9112, 3.2.
void RequestHeadReader::take_target(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (head_.method == "CONNECT") {
    head_.authority = parse_authority(target);
    if (!head_.authority || !head_.authority->port) return fail(HeadFault::bad_request_line);
    absolute_ = true;
    return;
  }
  if (target.starts_with('/') || (target == "*" && head_.method == "OPTIONS")) {
    head_.path = path_of(target);
    return;
  }
  if (target.size() < kScheme.size() || !same_word(target.substr(0, kScheme.size()), kScheme)) {
    return fail(HeadFault::bad_request_line);
  }
  target.remove_prefix(kScheme.size());
  const std::size_t end = std::min(target.find_first_of("/?#"), target.size());
  head_.authority = parse_authority(target.substr(0, end));
  if (!head_.authority) return fail(HeadFault::bad_host);
  absolute_ = true;
  head_.path = path_of(target.substr(end));
  if (head_.path.empty()) head_.path = "/";
}

void RequestHeadReader::take_header(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return fail(HeadFault::folded_header);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return fail(HeadFault::bad_header);
  const std::string_view name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
  if (same_word(name, "accept")) head_.wants_json = prefers_json(value);
  if (!same_word(name, "host")) return;
  if (host_) return fail(HeadFault::several_hosts);
  host_ = value;
}

void RequestHeadReader::finish() {
  if (!host_ && !head_.http_1_0) return fail(HeadFault::no_host);
  if (host_ && !host_->empty()) {
    const auto host = parse_authority(*host_);
    if (!host) return fail(HeadFault::bad_host);
    if (absolute_ && !same_host(*host, *head_.authority)) return fail(HeadFault::host_differs);
    head_.authority = host;
  }
  state_ = State::complete;
}

void RequestHeadReader::fail(HeadFault fault) {
  state_ = State::failed;
  fault_ = fault;
}

}  // namespace microagent::http

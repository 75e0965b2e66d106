#include "http/head_reader.h"

#include <algorithm>
#include <cstring>

#include "http/framing.h"
#include "http/grammar.h"

namespace microagent::http {
namespace {

constexpr std::size_t kMaxMethod = 32;

bool take_version(std::string_view text, Version& version) {
  if (text == "HTTP/1.1") {
    version = Version::http_1_1;
  } else if (text == "HTTP/1.0") {
    version = Version::http_1_0;
  } else {
    return false;
  }
  return true;
}

}  // namespace

void HeadReader::fail(MessageFault fault) {
  state_ = State::failed;
  fault_ = fault;
  headers_.clear();
  partial_ = {};
}

void HeadReader::restart() {
  state_ = State::incomplete;
  has_first_line_ = false;
  received_ = 0;
  headers_.clear();
}

std::size_t HeadReader::feed(ByteView bytes) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::size_t taken = 0;
  while (taken < all.size() && state_ == State::incomplete) taken += take_piece(all.substr(taken));
  return taken;
}

// At most one line. What is found wrong must not depend on how the bytes came, so that each is judged before those
// behind it are looked at.
std::size_t HeadReader::take_piece(std::string_view bytes) {
  const void* end = std::memchr(bytes.data(), '\n', bytes.size());
  std::size_t size =
      end == nullptr ? bytes.size() : static_cast<std::size_t>(static_cast<const char*>(end) - bytes.data() + 1);
  const bool is_too_long = size > kMaxMessageHead - received_;
  if (is_too_long) size = kMaxMessageHead - received_;
  const std::string_view piece = bytes.substr(0, size);

  // A CR is right only before the LF, which is the last of a piece.
  std::string_view text = piece;
  const bool has_end = text.ends_with('\n');
  if (has_end) text.remove_suffix(1);
  const bool has_cr = text.ends_with('\r');
  if (has_cr) text.remove_suffix(1);
  const bool after_cr = partial_.ends_with('\r');
  if (!std::ranges::all_of(text, is_field_character) || (after_cr && (has_cr || !text.empty())) ||
      (has_end && !has_cr && !after_cr)) {
    fail(MessageFault::bad_character);
    return size;
  }
  received_ += size;
  if (is_too_long) {
    fail(MessageFault::too_long);
    return size;
  }
  if (!has_end) {
    partial_.append(piece);
    return size;
  }
  if (partial_.empty()) {
    take_line(text);
  } else {
    partial_.append(text);
    if (after_cr) partial_.pop_back();
    const std::string line = std::move(partial_);
    partial_.clear();
    take_line(line);
  }
  return size;
}

void HeadReader::take_line(std::string_view line) {
  if (!has_first_line_) {
    has_first_line_ = true;
    if (line.empty()) return fail(MessageFault::blank_before_head);
    return take_first_line(line);
  }
  if (!line.empty()) return take_header(line);
  HeaderList headers = std::move(headers_);
  headers_ = {};
  state_ = State::complete;
  finish(std::move(headers));
}

void HeadReader::take_header(std::string_view line) {
  Header header;
  const MessageFault fault = parse_header_line(line, header);
  if (fault != MessageFault::none) return fail(fault);
  if (headers_.size() == kMaxHeaders) return fail(MessageFault::too_many_headers);
  headers_.push_back(std::move(header));
}

// ---- requests

void RequestReader::take_first_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return fail(MessageFault::bad_request_line);
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, second - first - 1);
  if (!is_token(method) || method.size() > kMaxMethod || target.empty()) return fail(MessageFault::bad_request_line);
  if (line.find(' ', second + 1) != std::string_view::npos) return fail(MessageFault::bad_request_line);
  if (!take_version(line.substr(second + 1), message_.version)) return fail(MessageFault::bad_version);
  message_.method = method;
  message_.target = target;
  message_.scheme = scheme_;
  if (const MessageFault fault = take_target(); fault != MessageFault::none) fail(fault);
}

MessageFault RequestReader::take_target() {
  if (same_word(message_.method, "CONNECT")) return MessageFault::connect;
  std::string_view target = message_.target;
  if (!std::ranges::all_of(target, is_visible) || target.find('#') != std::string_view::npos) {
    return MessageFault::bad_target;
  }
  if (target.starts_with('/') || (target == "*" && message_.method == "OPTIONS")) {
    message_.path = path_of(target);
    return MessageFault::none;
  }
  const std::size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos) return MessageFault::bad_target;
  const std::string_view scheme = target.substr(0, scheme_end);
  const bool is_http = same_word(scheme, "http");
  if (!is_http && !same_word(scheme, "https")) return MessageFault::bad_target;
  if (is_http != (scheme_ == Scheme::http)) return MessageFault::scheme_differs;
  target.remove_prefix(scheme_end + 3);
  const std::size_t end = std::min(target.find_first_of("/?"), target.size());
  auto authority = parse_authority(target.substr(0, end));
  if (!authority) return MessageFault::bad_host;
  message_.authority = std::move(*authority);
  message_.path = path_of(target.substr(end));
  if (message_.path.empty()) message_.path = "/";
  absolute_ = true;
  return MessageFault::none;
}

MessageFault RequestReader::take_host() {
  const std::size_t hosts = count_headers(message_.headers, "host");
  // HTTP/1.0 has no Host: such a request is for whom its connection is for (RFC 1945).
  if (hosts == 0 && message_.version == Version::http_1_0 && !absolute_) return MessageFault::none;
  if (hosts == 0) return MessageFault::no_host;
  if (hosts > 1) return MessageFault::several_hosts;
  auto host = parse_authority(header_value(message_.headers, "host"));
  if (!host) return MessageFault::bad_host;
  const std::uint16_t port = scheme_ == Scheme::http ? 80 : 443;
  if (absolute_ && !same_host(*host, message_.authority, port)) return MessageFault::host_differs;
  message_.authority = std::move(*host);
  return MessageFault::none;
}

void RequestReader::finish(HeaderList headers) {
  message_.headers = std::move(headers);
  if (scheme_ == Scheme::http) ignore_hiding_upgrades(message_.headers);
  MessageFault fault = take_host();
  if (fault == MessageFault::none) fault = check_request_framing(message_);
  if (fault != MessageFault::none) fail(fault);
}

RequestMessage RequestReader::take() {
  RequestMessage message = std::move(message_);
  message_ = {};
  absolute_ = false;
  restart();
  return message;
}

// ---- responses

// The blank behind the status is left out by many servers that have no reason to give; nobody reads that differently.
void ResponseReader::take_first_line(std::string_view line) {
  if (!take_version(line.substr(0, 8), message_.version)) return fail(MessageFault::bad_version);
  const std::string_view status = line.substr(8);
  if (status.size() < 4 || status[0] != ' ' || !std::ranges::all_of(status.substr(1, 3), is_digit) || status[1] < '1' ||
      (status.size() > 4 && status[4] != ' ')) {
    return fail(MessageFault::bad_status_line);
  }
  message_.status = static_cast<std::uint16_t>((status[1] - '0') * 100 + (status[2] - '0') * 10 + (status[3] - '0'));
  if (status.size() > 5) message_.reason = status.substr(5);
}

void ResponseReader::finish(HeaderList headers) {
  message_.headers = std::move(headers);
  if (const MessageFault fault = check_response_framing(message_); fault != MessageFault::none) fail(fault);
}

ResponseMessage ResponseReader::take() {
  ResponseMessage message = std::move(message_);
  message_ = {};
  restart();
  return message;
}

}  // namespace microagent::http

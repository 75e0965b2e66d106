#include "http/body_reader.h"

#include <algorithm>
#include <limits>

#include "http/framing.h"
#include "http/grammar.h"

namespace microagent::http {
namespace {

constexpr std::uint64_t kMaxChunk = std::numeric_limits<std::int64_t>::max();
constexpr unsigned kMaxDigits = 16;
// Extensions mean nothing to anybody; a body made of them is an attack (CVE-2023-39326).
constexpr std::uint64_t kFreeExtension = 16 * 1024;

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char small = lower(c);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

}  // namespace

bool is_head_only(std::string_view name) {
  constexpr std::string_view kNames[] = {
      "transfer-encoding",
      "content-length",
      "content-encoding",
      "content-type",
      "content-range",
      "host",
      "connection",
      "keep-alive",
      "upgrade",
      "te",
      "trailer",
      "expect",
      "range",
      "authorization",
      "proxy-authorization",
      "www-authenticate",
      "cookie",
      "set-cookie",
      "location",
      "cache-control",
  };
  return std::ranges::any_of(kNames, [name](std::string_view other) { return same_word(name, other); });
}

std::string_view to_string(BodyFault fault) {
  switch (fault) {
    case BodyFault::none: return "nothing wrong";
    case BodyFault::bad_chunk_size: return "a chunk size that is none";
    case BodyFault::bad_chunk_extension: return "a chunk extension that is none";
    case BodyFault::chunk_line_too_long: return "a chunk line that is too long";
    case BodyFault::too_much_extension: return "too many chunk extensions";
    case BodyFault::bad_chunk_end: return "a chunk that does not end with CRLF";
    case BodyFault::bad_trailer: return "a trailer line that is none";
    case BodyFault::trailer_not_allowed: return "a trailer that must stand in the head";
    case BodyFault::trailers_too_long: return "trailers that are too long";
    case BodyFault::cut_off: return "a body that was cut off";
  }
  return "unknown";
}

BodyReader::BodyReader(Framing framing) {
  switch (framing.kind) {
    case Framing::Kind::none: return;
    case Framing::Kind::length:
      left_ = framing.length;
      if (left_ > 0) state_ = State::payload;
      return;
    case Framing::Kind::chunked:
      chunked_ = true;
      state_ = State::size;
      return;
    case Framing::Kind::until_close:
    case Framing::Kind::tunnel: state_ = State::until_end; return;
  }
}

BodyReader::Piece BodyReader::next(ByteView bytes) {
  if (bytes.empty()) return {};
  switch (state_) {
    case State::done:
    case State::failed: return {};
    case State::until_end: payload_bytes_ += bytes.size(); return {bytes.size(), true};
    case State::payload: {
      const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_));
      left_ -= size;
      payload_bytes_ += size;
      if (left_ == 0) state_ = chunked_ ? State::chunk_cr : State::done;
      return {size, true};
    }
    default: return {take_framing({reinterpret_cast<const char*>(bytes.data()), bytes.size()}), false};
  }
}

std::size_t BodyReader::feed(ByteView bytes) {
  std::size_t taken = 0;
  for (;;) {
    const Piece piece = next(bytes.subspan(taken));
    if (piece.size == 0) return taken;
    taken += piece.size;
  }
}

bool BodyReader::on_end() {
  if (state_ == State::until_end) state_ = State::done;
  return state_ == State::done || fail(BodyFault::cut_off);
}

std::size_t BodyReader::take_framing(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ != State::payload && state_ != State::done) {
    if (!take_framing_byte(bytes[taken])) return taken;
    ++taken;
  }
  return taken;
}

// False, and the byte not taken, when it is wrong.
bool BodyReader::take_framing_byte(char c) {
  switch (state_) {
    case State::size: return take_size_byte(c);
    case State::extension: return take_extension_byte(c);
    case State::size_lf: return c == '\n' ? end_size_line() : fail(BodyFault::bad_chunk_size);
    case State::chunk_cr: state_ = State::chunk_lf; return c == '\r' || fail(BodyFault::bad_chunk_end);
    case State::chunk_lf: state_ = State::size; return c == '\n' || fail(BodyFault::bad_chunk_end);
    case State::trailer: return take_trailer_byte(c);
    case State::trailer_lf: return c == '\n' ? end_trailer_line() : fail(BodyFault::bad_trailer);
    default: return false;
  }
}

bool BodyReader::take_size_byte(char c) {
  if (const int value = hex_value(c); value >= 0) {
    if (++digits_ > kMaxDigits || left_ > kMaxChunk >> 4) return fail(BodyFault::bad_chunk_size);
    left_ = left_ << 4 | static_cast<unsigned>(value);
    return true;
  }
  if (digits_ == 0) return fail(BodyFault::bad_chunk_size);
  if (c == ';') {
    state_ = State::extension;
    line_size_ = 0;
    return true;
  }
  state_ = State::size_lf;
  return c == '\r' || fail(BodyFault::bad_chunk_size);
}

bool BodyReader::take_extension_byte(char c) {
  if (c == '\r') {
    state_ = State::size_lf;
    return true;
  }
  if (!is_field_character(c)) return fail(BodyFault::bad_chunk_extension);
  if (++line_size_ > kMaxChunkLine) return fail(BodyFault::chunk_line_too_long);
  if (++extension_bytes_ > kFreeExtension + payload_bytes_) return fail(BodyFault::too_much_extension);
  return true;
}

bool BodyReader::end_size_line() {
  digits_ = 0;
  state_ = left_ == 0 ? State::trailer : State::payload;
  return true;
}

bool BodyReader::take_trailer_byte(char c) {
  if (++trailer_bytes_ > kMaxTrailers) return fail(BodyFault::trailers_too_long);
  if (c == '\r') {
    state_ = State::trailer_lf;
    return true;
  }
  if (!is_field_character(c)) return fail(BodyFault::bad_trailer);
  line_.push_back(c);
  return true;
}

bool BodyReader::end_trailer_line() {
  if (line_.empty()) {
    state_ = State::done;
    return true;
  }
  Header header;
  if (parse_header_line(line_, header) != MessageFault::none) return fail(BodyFault::bad_trailer);
  if (is_head_only(header.name)) return fail(BodyFault::trailer_not_allowed);
  if (trailers_.size() == kMaxTrailerLines) return fail(BodyFault::trailers_too_long);
  trailers_.push_back(std::move(header));
  line_.clear();
  state_ = State::trailer;
  return true;
}

bool BodyReader::fail(BodyFault fault) {
  state_ = State::failed;
  fault_ = fault;
  return false;
}

}  // namespace microagent::http

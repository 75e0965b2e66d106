#pragma once

// Finds the end of an HTTP/1 message's body without touching it: the relay passes on exactly the bytes that are taken
// here, chunk lines and trailers with them, after they have been checked (RFC 9112, 7.1).

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "http/message.h"

namespace microagent::http {

enum class BodyFault : std::uint8_t {
  none,
  bad_chunk_size,       // no hexadecimal number, or too large
  bad_chunk_extension,  // not behind a semicolon, or with a control character
  chunk_line_too_long,
  too_much_extension,   // more than the payload can explain
  bad_chunk_end,        // no CRLF behind a chunk's bytes
  bad_trailer,          // no header line
  trailer_not_allowed,  // one that must stand in the head (RFC 9110, 6.5.1)
  trailers_too_long,
  cut_off,  // the connection ended within the body
};
std::string_view to_string(BodyFault fault);

// What a receiver would act on without having looked for it behind the body: no trailer of any version of HTTP.
bool is_head_only(std::string_view name);

inline constexpr std::size_t kMaxChunkLine = 256;
inline constexpr std::size_t kMaxTrailers = 16 * 1024;
inline constexpr std::size_t kMaxTrailerLines = 64;

class BodyReader {
 public:
  explicit BodyReader(Framing framing);

  struct Piece {
    std::size_t size = 0;  // 0: none of the bytes belongs to the body, or the next is wrong
    bool payload = false;  // content, not framing of it
  };
  // The next run of bytes of one kind. Payload runs are as long as they can be.
  Piece next(ByteView bytes);

  // How many of the bytes belong to the body; less than all when it is done, or at the first wrong byte.
  std::size_t feed(ByteView bytes);

  // The connection ended, or this half of it. False when the body may not end here.
  bool on_end();

  bool done() const { return state_ == State::done; }
  BodyFault fault() const { return fault_; }
  std::uint64_t payload_bytes() const { return payload_bytes_; }
  // Payload that is known to follow: of a body with a length, or of a chunk.
  std::uint64_t expected() const { return left_; }
  const HeaderList& trailers() const { return trailers_; }

 private:
  enum class State : std::uint8_t {
    payload,  // of which left_ bytes follow
    until_end,
    size,  // at the digits of a chunk's size
    extension,
    size_lf,
    chunk_cr,
    chunk_lf,
    trailer,  // within a trailer line, or at the beginning of one
    trailer_lf,
    done,
    failed,
  };

  std::size_t take_framing(std::string_view bytes);
  bool take_framing_byte(char c);
  bool take_size_byte(char c);
  bool take_extension_byte(char c);
  bool take_trailer_byte(char c);
  bool end_size_line();
  bool end_trailer_line();
  bool fail(BodyFault fault);

  State state_ = State::done;
  BodyFault fault_ = BodyFault::none;
  bool chunked_ = false;
  std::uint64_t left_ = 0;
  std::uint64_t payload_bytes_ = 0;
  unsigned digits_ = 0;
  std::size_t line_size_ = 0;
  std::uint64_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::string line_;
  HeaderList trailers_;
};

}  // namespace microagent::http

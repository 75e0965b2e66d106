#pragma once

// Undoes a Content-Encoding piece by piece (RFC 9110, 8.4.1; RFC 7932; RFC 8878), so that a text can be looked through.
// The upstream's bytes are not trusted: memory is bounded, and so is what may be made of little.

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"

namespace microagent::http {

enum class ContentCoding : std::uint8_t { identity, gzip, deflate, br, zstd, unknown };

// Of a Content-Encoding header's value; several codings one over the other are unknown.
ContentCoding parse_content_coding(std::string_view value);

// The most that a decoder of it holds.
std::size_t memory_of(ContentCoding coding);

enum class DecodeFault : std::uint8_t {
  none,
  bad_data,
  cut_off,
  bomb,       // more comes out than kMaxRatio times what went in
  too_large,  // it asks for more memory than kMaxWindow
};
std::string_view to_string(DecodeFault fault);

// An honest text comes to 20, seldom to 1000, for a short while.
inline constexpr std::uint64_t kMaxRatio = 1100;
inline constexpr std::uint64_t kFreeOutput = 16 * 1024 * 1024;
inline constexpr unsigned kMaxWindowBits = 23;  // RFC 9659

class ContentDecoder {
 public:
  // Not for unknown; identity copies.
  explicit ContentDecoder(ContentCoding coding);
  ~ContentDecoder();
  ContentDecoder(ContentDecoder&&) noexcept;
  ContentDecoder& operator=(ContentDecoder&&) noexcept;

  struct Step {
    std::size_t taken = 0, made = 0;
  };
  // Takes from `in` and writes to `out` what fits. Call it again while it takes or makes something; 0 and 0 means that
  // it wants more input, is done or has failed.
  Step decode(ByteView in, MutableBytes out);
  // The input ended, and decode() made the last of it. False when it may not end here.
  bool on_end();

  bool done() const { return done_; }  // of the coding; more input is an error, but for gzip
  DecodeFault fault() const { return fault_; }

 private:
  class Engine;
  class Copy;
  class Zlib;
  class Brotli;
  class Zstd;

  Step fail(DecodeFault fault);

  std::unique_ptr<Engine> engine_;
  std::uint64_t taken_ = 0, made_ = 0;
  bool done_ = false;
  DecodeFault fault_ = DecodeFault::none;
};

}  // namespace microagent::http

#pragma once

// Texts as servers compress them.

#include <brotli/encode.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

#include "http/content_decoder.h"
#include "http/test_text.h"

namespace microagent::http {

// `bits` as deflateInit2() has them: MAX_WBITS for zlib's format, 16 more for gzip, negative for neither.
inline std::string zlib_packed(std::string_view text, int bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string packed(ContentCoding coding, std::string_view text) {
  switch (coding) {
    case ContentCoding::gzip: return zlib_packed(text, MAX_WBITS + 16);
    case ContentCoding::deflate: return zlib_packed(text, MAX_WBITS);
    case ContentCoding::br: {
      std::size_t size = BrotliEncoderMaxCompressedSize(text.size()) + 32;
      std::string out(size, '\0');
      EXPECT_TRUE(BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT, text.size(), bytes_of_text(text).data(), &size,
                                        reinterpret_cast<std::uint8_t*>(out.data())));
      out.resize(size);
      return out;
    }
    case ContentCoding::zstd: {
      std::string out(ZSTD_compressBound(text.size()), '\0');
      out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
      return out;
    }
    default: return std::string(text);
  }
}

}  // namespace microagent::http

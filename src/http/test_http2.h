#pragma once

// HTTP/2 frames for the tests of this folder and of the mediator.

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microagent::http {

using Http2Bytes = std::vector<std::uint8_t>;
using TestFields = std::vector<std::pair<std::string, std::string>>;

inline Http2Bytes frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const Http2Bytes& payload) {
  const auto byte = [](std::size_t value) { return static_cast<std::uint8_t>(value); };
  Http2Bytes out{byte(payload.size() >> 16), byte(payload.size() >> 8), byte(payload.size()), type,        flags,
                 byte(stream >> 24),         byte(stream >> 16),        byte(stream >> 8),    byte(stream)};
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

inline Http2Bytes header_block(TestFields fields) {
  std::vector<nghttp2_nv> all;
  for (auto& [name, value] : fields) {
    all.push_back({reinterpret_cast<std::uint8_t*>(name.data()), reinterpret_cast<std::uint8_t*>(value.data()),
                   name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  nghttp2_hd_deflater* deflater = nullptr;
  if (nghttp2_hd_deflate_new(&deflater, 4096) != 0) return {};
  Http2Bytes block(nghttp2_hd_deflate_bound(deflater, all.data(), all.size()));
  const ssize_t size = nghttp2_hd_deflate_hd(deflater, block.data(), block.size(), all.data(), all.size());
  nghttp2_hd_deflate_del(deflater);
  block.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return block;
}

inline TestFields request_fields(std::string authority) {
  return {{":method", "GET"}, {":scheme", "http"}, {":path", "/x?y"}, {":authority", std::move(authority)}};
}

// Preface and settings.
inline Http2Bytes http2_start() {
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  Http2Bytes out(kPreface.begin(), kPreface.end());
  const Http2Bytes settings = frame(NGHTTP2_SETTINGS, 0, 0, {0, 3, 0, 0, 0, 100});
  out.insert(out.end(), settings.begin(), settings.end());
  return out;
}

inline Http2Bytes operator+(Http2Bytes a, const Http2Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Http2Bytes http2_request(TestFields fields) {
  return http2_start() + frame(NGHTTP2_HEADERS, 0x5, 1, header_block(std::move(fields)));
}

}  // namespace microagent::http

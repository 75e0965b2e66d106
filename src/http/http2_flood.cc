#include "http/http2_flood.h"

#include <nghttp2/nghttp2.h>

#include <cstring>

namespace microagent::http {

std::string_view to_string(Http2Limit limit) {
  switch (limit) {
    case Http2Limit::none: return "nothing wrong";
    case Http2Limit::protocol: return "an HTTP/2 protocol error";
    case Http2Limit::resets: return "too many streams opened and reset";
    case Http2Limit::own_resets: return "too many streams with errors";
    case Http2Limit::continuations: return "a header block in too many pieces";
    case Http2Limit::header_list: return "too long a header list";
    case Http2Limit::settings: return "too many SETTINGS";
    case Http2Limit::pings: return "too many PINGs";
    case Http2Limit::empty_frames: return "too many empty frames";
    case Http2Limit::window_updates: return "too many WINDOW_UPDATEs";
    case Http2Limit::other_frames: return "too many frames without a meaning";
    case Http2Limit::unread_output: return "too many answers left unread";
  }
  return "unknown";
}

Http2Limit limit_of(std::ptrdiff_t error) {
  switch (error) {
    case NGHTTP2_ERR_FLOODED: return Http2Limit::unread_output;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS: return Http2Limit::continuations;
    case NGHTTP2_ERR_TOO_MANY_SETTINGS: return Http2Limit::settings;
    default: return Http2Limit::protocol;
  }
}

Http2Flood::Http2Flood(const Http2Limits& limits, bool preface_first)
    : skip_(preface_first ? NGHTTP2_CLIENT_MAGIC_LEN : 0),
      resets_(limits.resets),
      own_resets_(limits.own_resets),
      settings_(limits.settings),
      pings_(limits.pings),
      empty_frames_(limits.empty_frames),
      other_frames_(limits.other_frames),
      window_updates_(limits.window_updates),
      per_data_(limits.window_updates_per_data) {}

Http2Limit Http2Flood::on_bytes(ByteView bytes, std::uint64_t now) {
  while (!bytes.empty()) {
    const std::size_t skipped = std::min(skip_, bytes.size());
    skip_ -= skipped;
    bytes = bytes.subspan(skipped);
    const std::size_t count = std::min(sizeof head_ - head_size_, bytes.size());
    if (count > 0) std::memcpy(reinterpret_cast<std::uint8_t*>(&head_) + head_size_, bytes.data(), count);
    head_size_ += count;
    bytes = bytes.subspan(count);
    if (head_size_ < sizeof head_) continue;
    head_size_ = 0;
    skip_ = static_cast<std::size_t>(head_.length[0] << 16 | head_.length[1] << 8 | head_.length[2]);
    const Http2Limit limit = on_frame(head_.type, head_.flags, skip_, now);
    if (limit != Http2Limit::none) return limit;
  }
  return Http2Limit::none;
}

Http2Limit Http2Flood::on_frame(std::uint8_t type, std::uint8_t flags, std::size_t length, std::uint64_t now) {
  const auto take = [now](TokenBucket& bucket, Http2Limit limit) {
    return bucket.take(now) ? Http2Limit::none : limit;
  };
  switch (type) {
    case NGHTTP2_DATA:
      if (length > 0) pings_.give(1);
      if (length > 0 || (flags & NGHTTP2_FLAG_END_STREAM) != 0) return Http2Limit::none;
      return take(empty_frames_, Http2Limit::empty_frames);
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION: return length > 0 ? Http2Limit::none : take(empty_frames_, Http2Limit::empty_frames);
    case NGHTTP2_RST_STREAM: return take(resets_, Http2Limit::resets);
    case NGHTTP2_SETTINGS: return take(settings_, Http2Limit::settings);
    case NGHTTP2_PING: return take(pings_, Http2Limit::pings);
    case NGHTTP2_WINDOW_UPDATE: return take(window_updates_, Http2Limit::window_updates);
    case NGHTTP2_GOAWAY: return Http2Limit::none;
    default: return take(other_frames_, Http2Limit::other_frames);
  }
}

}  // namespace microagent::http

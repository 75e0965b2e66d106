#pragma once

// Counts a peer's frames against Http2Limits.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "http/http2_limits.h"

namespace microagent::http {

// The limit that nghttp2 found broken, where it failed with this.
Http2Limit limit_of(std::ptrdiff_t error);

class TokenBucket {
 public:
  explicit TokenBucket(Http2Rate rate) : rate_(rate), tokens_(rate.burst) {}

  // False when there is none left.
  bool take(std::uint64_t now) {
    if (now > last_) {
      const double seconds = last_ == 0 ? 0 : static_cast<double>(now - last_) / 1e9;
      tokens_ = std::min<double>(std::max<double>(rate_.burst, tokens_), tokens_ + seconds * rate_.per_second);
      last_ = now;
    }
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // Above the burst, too, but bounded.
  void give(std::uint32_t tokens) { tokens_ = std::min<double>(tokens_ + tokens, kMostBursts * rate_.burst); }

 private:
  static constexpr double kMostBursts = 10;
  Http2Rate rate_;
  double tokens_;
  std::uint64_t last_ = 0;
};

class Http2Flood {
 public:
  Http2Flood(const Http2Limits& limits, bool preface_first);

  // The peer's bytes, before anybody acts on them. What they break, or none. Frames are found here because nghttp2 says
  // nothing of those that it passes over.
  Http2Limit on_bytes(ByteView bytes, std::uint64_t now);
  Http2Limit on_own_reset(std::uint64_t now) {
    return own_resets_.take(now) ? Http2Limit::none : Http2Limit::own_resets;
  }
  // nghttp2 refused a stream before anybody heard of it. Clients open many before they know how many they may.
  Http2Limit on_refusal(std::uint64_t now) {
    return other_frames_.take(now) ? Http2Limit::none : Http2Limit::own_resets;
  }
  // What explains frames of the peer's. gRPC pings once a round trip while data flows, and many servers end each answer
  // with a reset.
  void on_data_sent() {
    window_updates_.give(per_data_);
    pings_.give(1);
  }
  void on_request_sent() { resets_.give(1); }

 private:
  struct FrameHead {
    std::uint8_t length[3];
    std::uint8_t type;
    std::uint8_t flags;
    be32 stream;
  };
  static_assert(sizeof(FrameHead) == 9);

  Http2Limit on_frame(std::uint8_t type, std::uint8_t flags, std::size_t length, std::uint64_t now);

  std::size_t skip_;  // bytes until the next frame's head
  FrameHead head_{};
  std::size_t head_size_ = 0;
  TokenBucket resets_, own_resets_, settings_, pings_, empty_frames_, other_frames_, window_updates_;
  std::uint32_t per_data_;
};

}  // namespace microagent::http

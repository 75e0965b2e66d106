#pragma once

#include <map>
#include <optional>
#include <vector>

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack::testing {

// A small but correct TCP end, written for tests and sharing nothing with the one under test: it sends one stream,
// takes another, ends both. Numbers are relative, as in Segment. The handshake is over when it begins.
class ModelGuest {
 public:
  struct Settings {
    bool sack = true;
    std::uint8_t scale = 0;  // of its own windows
    std::uint8_t peer_scale = 0;
    std::uint32_t window = 256 * 1024;
    std::uint32_t mss = kMss;
  };

  ModelGuest(Bytes says, const Settings& settings) : says_(std::move(says)), settings_(settings) {}

  void on_segment(const Segment& segment, std::uint64_t now_ns);
  void on_time(std::uint64_t now_ns);
  std::optional<std::uint64_t> next_deadline() const;

  // What it sends now. SACK blocks count from the other side's initial sequence number.
  std::vector<Segment> take_segments();

  const Bytes& heard() const { return heard_; }
  // Both streams have ended, and both sides know.
  bool finished() const { return fin_acknowledged_ && fin_heard_; }
  std::uint64_t timeouts() const { return timeouts_; }

 private:
  static constexpr std::uint64_t kTimeoutNs = 300 * kMs;
  static constexpr std::uint32_t kWindowSegments = 40;

  std::uint32_t end_of_data() const { return 1 + static_cast<std::uint32_t>(says_.size()); }
  void on_ack(const Segment& segment, std::uint64_t now_ns);
  void on_data(const Segment& segment);
  void say(std::uint64_t now_ns);
  void say_from(std::uint32_t seq);
  void acknowledge();
  Segment make(std::uint32_t seq) const;

  Bytes says_;
  Settings settings_;
  std::uint32_t acked_ = 1, next_ = 1, highest_ = 1;
  std::uint32_t peer_window_ = 0;
  std::uint32_t duplicates_ = 0, recover_ = 0;
  std::uint32_t allowed_segments_ = kWindowSegments;
  bool fin_acknowledged_ = false;
  std::uint64_t due_ns_ = kForever;
  std::uint64_t timeouts_ = 0;

  Bytes heard_;
  std::map<std::uint32_t, Bytes> early_;  // by sequence number
  std::optional<std::uint32_t> fin_at_;
  bool fin_heard_ = false;

  std::vector<Segment> out_;
  static constexpr std::uint64_t kForever = ~std::uint64_t{0};
};

}  // namespace microagent::netstack::testing

#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "netstack/stack.h"
#include "netstack/testing/frames.h"

namespace microagent::netstack::testing {

// Keeps every frame that the stack sends. A test chooses what the guest's driver can do, how many buffers it has posted
// and how they are cut.
class FakeWire final : public Wire {
 public:
  Abilities can{};
  std::optional<std::size_t> frames_of_room;  // nothing: without end
  std::size_t piece_bytes = 0;                // 0: every frame is one piece
  std::uint64_t refused = 0;                  // reservations that found no room
  std::size_t largest_reservation = 0;

  Abilities abilities() const override { return can; }

  std::span<const iovec> reserve(std::size_t bytes) override {
    MICROAGENT_CHECK(!reserved_ && bytes > 0);
    if (frames_of_room == std::size_t{0}) {
      ++refused;
      return {};
    }
    // Of exactly this size and anew each time, so that a sanitizer sees every byte written outside.
    bytes_ = bytes;
    largest_reservation = std::max(largest_reservation, bytes);
    buffer_ = std::make_unique<std::uint8_t[]>(bytes);
    pieces_.clear();
    const std::size_t step = piece_bytes == 0 ? bytes : piece_bytes;
    for (std::size_t at = 0; at < bytes; at += step) {
      pieces_.push_back(iovec{buffer_.get() + at, std::min(step, bytes - at)});
    }
    reserved_ = true;
    return pieces_;
  }

  void commit(std::size_t bytes, const Offload& offload) override {
    MICROAGENT_CHECK(reserved_ && bytes > 0 && bytes <= bytes_);
    frames.push_back(Frame{Bytes(buffer_.get(), buffer_.get() + bytes), offload});
    if (frames_of_room) --*frames_of_room;
    buffer_.reset();
    reserved_ = false;
  }

  void abandon() override {
    MICROAGENT_CHECK(reserved_);
    buffer_.reset();
    reserved_ = false;
  }

  std::vector<Frame> take() { return std::exchange(frames, {}); }

  std::vector<Frame> frames;

 private:
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t bytes_ = 0;
  std::vector<iovec> pieces_;
  bool reserved_ = false;
};

}  // namespace microagent::netstack::testing

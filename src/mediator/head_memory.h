#pragma once

// What the heads of all requests and responses take that are under way on a connection of HTTP/2. No window holds them
// back, and header compression makes a long one of a few bytes. So much is part of the flow's share of memory; what is
// beyond that is borrowed, in pieces.

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "mediator/request_gate.h"

namespace microagent::mediator {

class HeadMemory {
 public:
  static constexpr std::size_t kOwn = 64 * 1024, kPiece = 64 * 1024;

  // Of one exchange, until this ends. The memory that it is from must outlive it.
  class Held {
   public:
    Held() = default;
    explicit Held(HeadMemory& memory) : memory_(&memory) {}
    Held(Held&& other) noexcept : memory_(other.memory_), bytes_(std::exchange(other.bytes_, 0)) {}
    Held& operator=(Held&& other) noexcept {
      std::swap(memory_, other.memory_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Held() {
      if (bytes_ > 0) memory_->give_back(bytes_);
    }

    // So much more; false where there is not so much to be had.
    [[nodiscard]] bool grow(std::size_t bytes) {
      if (!memory_->take(bytes)) return false;
      bytes_ += bytes;
      return true;
    }

   private:
    HeadMemory* memory_ = nullptr;
    std::size_t bytes_ = 0;
  };

  explicit HeadMemory(RequestGate& gate) : gate_(gate) {}
  HeadMemory(const HeadMemory&) = delete;
  HeadMemory& operator=(const HeadMemory&) = delete;

 private:
  bool take(std::size_t bytes) {
    used_ += bytes;
    while (used_ > kOwn + borrowed_.size() * kPiece) {
      auto piece = gate_.borrow(kPiece);
      if (!piece) {
        give_back(bytes);
        return false;
      }
      borrowed_.push_back(std::move(piece));
    }
    return true;
  }
  void give_back(std::size_t bytes) {
    used_ -= bytes;
    while (!borrowed_.empty() && used_ <= kOwn + (borrowed_.size() - 1) * kPiece) borrowed_.pop_back();
  }

  RequestGate& gate_;
  std::size_t used_ = 0;
  std::vector<std::shared_ptr<void>> borrowed_;
};

}  // namespace microagent::mediator

#pragma once

// What all intercepted flows of a workspace may hold in memory together: 1 GiB. Each has its share from its beginning
// to its end: for the buffers and the TLS of both its connections, which are bounded by construction, and for the
// windows of HTTP/2, which are what a peer may have us hold for another that does not read. The more flows there are,
// the smaller the windows of the next. What is held for a while beside that, such as a body that is gathered before it
// goes on or the heads of many requests (head_memory.h), is borrowed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace microagent::mediator {

class RelayMemory {
 public:
  static constexpr std::size_t kMaxFlows = 2048;
  static constexpr std::size_t kOfFlow = 256 * 1024;                               // buffers, TLS, some heads
  static constexpr std::uint32_t kLeastWindow = 64 * 1024, kMostWindow = 8 << 20;  // there are two, one each way
  static constexpr std::size_t kWider = 256 * 1024 * 1024;  // what all windows may have beyond the least
  static constexpr std::size_t kWiderParts = 32;            // of what is left of that, for the next window
  static constexpr std::size_t kAll = std::size_t{1} << 30;
  static constexpr std::size_t kMostLent = kAll / 2;

 private:
  static constexpr std::size_t kLeastShare = kOfFlow + 2 * std::size_t{kLeastWindow};
  struct Used {
    std::size_t flows = 0, wider = 0, lent = 0;

    std::size_t left() const { return kAll - flows * kLeastShare - wider - lent; }
  };

 public:
  // So many bytes, for as long as this lives.
  class Loan {
   public:
    Loan(std::shared_ptr<Used> used, std::size_t bytes) : used_(std::move(used)), bytes_(bytes) {
      used_->lent += bytes_;
    }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { used_->lent -= bytes_; }

   private:
    std::shared_ptr<Used> used_;
    std::size_t bytes_;
  };

  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept : used_(std::move(other.used_)), window_(other.window_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(used_, other.used_);
      std::swap(window_, other.window_);
      return *this;
    }
    ~Share() {
      if (!used_) return;
      --used_->flows;
      used_->wider -= wider(window_);
    }

    // How much either connection may hold for the other.
    std::uint32_t window() const { return window_; }

   private:
    friend class RelayMemory;
    Share(std::shared_ptr<Used> used, std::uint32_t window) : used_(std::move(used)), window_(window) {
      ++used_->flows;
      used_->wider += wider(window);
    }
    static std::size_t wider(std::uint32_t window) { return 2 * std::size_t{window - kLeastWindow}; }

    std::shared_ptr<Used> used_;  // flows may outlive the mediator
    std::uint32_t window_ = kLeastWindow;
  };

  // Nothing where there are as many as there may be.
  std::optional<Share> take(bool http2) {
    if (used_->flows >= kMaxFlows || used_->left() < kLeastShare) return std::nullopt;
    const std::size_t free = std::min(kWider - used_->wider, used_->left() - kLeastShare);
    const std::size_t more = http2 ? free / kWiderParts : 0;
    return Share(used_, static_cast<std::uint32_t>(std::min<std::size_t>(kLeastWindow + more, kMostWindow)));
  }

  // For a connection of HTTP/2 that goes on with the windows of its last flow. Nothing where they would be too much of
  // what is left.
  std::optional<Share> take_as_wide_as(std::uint32_t window) {
    if (used_->flows >= kMaxFlows || used_->left() < kLeastShare) return std::nullopt;
    const std::size_t free = std::min(kWider - used_->wider, used_->left() - kLeastShare);
    if (window < kLeastWindow || Share::wider(window) > free / 2) return std::nullopt;
    return Share(used_, window);
  }

  // Null where there is not so much to be had.
  std::shared_ptr<Loan> lend(std::size_t bytes) {
    if (bytes > kMostLent - used_->lent || bytes > used_->left()) return nullptr;
    return std::make_shared<Loan>(used_, bytes);
  }

 private:
  std::shared_ptr<Used> used_ = std::make_shared<Used>();
};

}  // namespace microagent::mediator

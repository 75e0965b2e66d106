#pragma once

// What all intercepted flows of a workspace may hold in memory together: 1 GiB. Each has its share from its beginning
// to its end: for the buffers and the TLS of both its connections, which are bounded by construction, and for the
// windows of HTTP/2, which are what a peer may have us hold for another that does not read. The more flows there are,
// the smaller the windows of the next.

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
  static constexpr std::size_t kOfFlow = 256 * 1024;                               // buffers and TLS
  static constexpr std::uint32_t kLeastWindow = 64 * 1024, kMostWindow = 8 << 20;  // there are two, one each way
  static constexpr std::size_t kWider = 256 * 1024 * 1024;  // what all windows may have beyond the least
  static constexpr std::size_t kWiderParts = 32;            // of what is left of that, for the next window

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
    struct Used {
      std::size_t flows = 0, wider = 0;
    };
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
    if (used_->flows >= kMaxFlows) return std::nullopt;
    const std::size_t more = http2 ? (kWider - used_->wider) / kWiderParts : 0;
    return Share(used_, static_cast<std::uint32_t>(std::min<std::size_t>(kLeastWindow + more, kMostWindow)));
  }

 private:
  std::shared_ptr<Share::Used> used_ = std::make_shared<Share::Used>();
};

}  // namespace microagent::mediator

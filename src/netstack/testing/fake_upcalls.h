#pragma once

#include <functional>
#include <map>
#include <vector>

#include "base/check.h"
#include "netstack/stack.h"
#include "netstack/testing/frames.h"

namespace microagent::netstack::testing {

// Remembers what the stack asked for. A test answers afterwards, or from within by `on_open`.
class FakeUpcalls : public Upcalls {
 public:
  struct Opened {
    FlowId flow = 0;
    Protocol protocol{};
    Endpoint guest, destination;
  };
  struct FirstBytes {
    FlowId flow = 0;
    Bytes bytes;
    bool ended = false;
  };
  struct Closed {
    FlowId flow = 0;
    FlowTotals totals;
  };

  void open(FlowId flow, Protocol protocol, const Endpoint& guest, const Endpoint& destination) override {
    opened.push_back({flow, protocol, guest, destination});
    if (on_open) on_open(opened.back());
  }
  void first_bytes(FlowId flow, std::span<const iovec> pieces, bool ended) override {
    FirstBytes told{flow, {}, ended};
    for (const iovec& piece : pieces) {
      const auto* start = static_cast<const std::uint8_t*>(piece.iov_base);
      told.bytes.insert(told.bytes.end(), start, start + piece.iov_len);
    }
    peeked.push_back(std::move(told));
  }
  void closed(FlowId flow, const FlowTotals& totals) override { ends.push_back({flow, totals}); }

  bool watch(int fd, std::uint64_t token, Interest) override {
    MICROAGENT_CHECK(token >> 56 == 0);
    return can_watch && watched.emplace(fd, token).second;
  }
  void forget(int fd) override { MICROAGENT_CHECK(watched.erase(fd) == 1); }

  std::function<void(const Opened&)> on_open;
  bool can_watch = true;
  std::vector<Opened> opened;
  std::vector<FirstBytes> peeked;
  std::vector<Closed> ends;
  std::map<int, std::uint64_t> watched;  // token by descriptor
};

}  // namespace microagent::netstack::testing

#pragma once

#include <cstdint>
#include <deque>
#include <variant>
#include <vector>

#include "flow/channel.h"

namespace microagent::netd {

// What netd tells one of its two peers, in order, held back while the peer does not read.
//
// No message is ever lost silently: an open that finds the queue long is refused to the guest by the
// caller, and a peer so far behind that ends of flows pile up over kMaxQueued counts as gone.
class Outbox {
 public:
  static constexpr std::size_t kMaxQueuedOpens = 1024;
  static constexpr std::size_t kMaxQueued = 64 * 1024;

  explicit Outbox(flow::Channel& channel) : channel_(channel) {}

  // False when the flow must be refused instead.
  [[nodiscard]] bool open(flow::FlowId flow, const flow::Open& open);
  // What a peeked flow's guest has sent; bounded by flow::kMaxPeek a flow.
  void first_bytes(flow::FlowId flow, const flow::FirstBytes& body, std::vector<std::uint8_t> bytes);
  void closed(flow::FlowId flow, const flow::Closed& closed);
  // Numbers that grow: while the peer does not read, the newest take the place of those that were queued.
  void number(const flow::Usage& usage);
  void number(const flow::Dropped& dropped);

  // Whether something is held back.
  bool waits() const { return !queued_.empty(); }
  // The peer reads again.
  void drain();

  // True once the connection has failed or the peer has stopped reading for good.
  bool broken() const { return broken_; }

 private:
  struct Entry {
    flow::FlowId flow;
    std::variant<flow::Open, flow::FirstBytes, flow::Closed, flow::Usage, flow::Dropped> body;
    std::vector<std::uint8_t> trailing;
  };

  template <typename Body, typename Key>
  void replace(const Body& body, Key Body::*key);
  void push(Entry entry);
  // False when the peer does not read at the moment.
  bool send(const Entry& entry);

  flow::Channel& channel_;
  std::deque<Entry> queued_;
  bool broken_ = false;
};

}  // namespace microagent::netd

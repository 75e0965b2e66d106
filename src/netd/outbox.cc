#include "netd/outbox.h"

namespace microagent::netd {

bool Outbox::open(flow::FlowId flow, const flow::Open& open) {
  if (queued_.size() >= kMaxQueuedOpens) return false;
  push(Entry{flow, open, {}});
  return true;
}

void Outbox::first_bytes(flow::FlowId flow, const flow::FirstBytes& body, std::vector<std::uint8_t> bytes) {
  if (queued_.size() >= kMaxQueued) broken_ = true;
  if (!broken_) push(Entry{flow, body, std::move(bytes)});
}

void Outbox::closed(flow::FlowId flow, const flow::Closed& closed) {
  if (queued_.size() >= kMaxQueued) broken_ = true;
  if (!broken_) push(Entry{flow, closed, {}});
}

void Outbox::number(const flow::Usage& usage) { replace(usage, &flow::Usage::budget); }
void Outbox::number(const flow::Dropped& dropped) { replace(dropped, &flow::Dropped::ip_protocol); }

template <typename Body, typename Key>
void Outbox::replace(const Body& body, Key Body::*key) {
  for (Entry& entry : queued_) {
    Body* const older = std::get_if<Body>(&entry.body);
    if (older != nullptr && older->*key == body.*key) return void(*older = body);
  }
  push(Entry{0, body, {}});
}

void Outbox::push(Entry entry) {
  if (!queued_.empty() || !send(entry)) queued_.push_back(std::move(entry));
}

void Outbox::drain() {
  while (!queued_.empty() && send(queued_.front())) queued_.pop_front();
}

bool Outbox::send(const Entry& entry) {
  const Status sent =
      std::visit([&](const auto& body) { return channel_.send(entry.flow, body, -1, entry.trailing); }, entry.body);
  if (sent) return true;
  if (sent.error().retryable()) return false;
  broken_ = true;
  return true;
}

}  // namespace microagent::netd

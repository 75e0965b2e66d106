#include "virtio/testing/driver_queue.h"

#include <numeric>

#include "base/check.h"
#include "virtio/shared_memory.h"

namespace microagent::virtio::testing {
namespace {

constexpr std::size_t kMaxIndirect = 32;

wire::RingDescriptor descriptor_of(const DriverBuffer& buffer, bool last, std::uint16_t next) {
  const std::uint16_t write = buffer.device_writes ? wire::kDescriptorWrite : 0;
  const std::uint16_t more = last ? 0 : wire::kDescriptorNext;
  return {buffer.address, buffer.length, static_cast<std::uint16_t>(write | more), next};
}

}  // namespace

DriverQueue::DriverQueue(GuestRam& ram, std::uint16_t size, bool event_idx)
    : ram_(ram),
      size_(size),
      event_idx_(event_idx),
      descriptors_(ram.allocate(sizeof(wire::RingDescriptor) * size)),
      available_(ram.allocate(wire::avail_bytes(size))),
      used_(ram.allocate(wire::used_bytes(size))),
      indirect_tables_(ram.allocate(sizeof(wire::RingDescriptor) * kMaxIndirect * size)),
      free_(size),
      chains_(size) {
  std::iota(free_.rbegin(), free_.rend(), std::uint16_t{0});
}

Ring::Setup DriverQueue::setup(bool indirect) const {
  return {.size = size_,
          .base = 0,
          .descriptors = kUserBase + descriptors_,
          .available = kUserBase + available_,
          .used = kUserBase + used_,
          .event_idx = event_idx_,
          .indirect = indirect};
}

std::optional<std::uint16_t> DriverQueue::add(std::span<const DriverBuffer> buffers) {
  if (free_.size() < buffers.size()) return std::nullopt;
  std::vector<std::uint16_t> chain(free_.end() - static_cast<std::ptrdiff_t>(buffers.size()), free_.end());
  free_.resize(free_.size() - chain.size());
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const bool last = i + 1 == chain.size();
    write_descriptor(chain[i], descriptor_of(buffers[i], last, last ? std::uint16_t{0} : chain[i + 1]));
  }
  const std::uint16_t head = chain.front();
  chains_[head] = std::move(chain);
  offer(head);
  return head;
}

std::optional<std::uint16_t> DriverQueue::add_indirect(std::span<const DriverBuffer> buffers) {
  MICROAGENT_CHECK(buffers.size() <= kMaxIndirect);
  if (free_.empty()) return std::nullopt;
  const std::uint16_t head = free_.back();
  free_.pop_back();
  chains_[head] = {head};
  const std::uint64_t table = indirect_tables_ + sizeof(wire::RingDescriptor) * kMaxIndirect * head;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const bool last = i + 1 == buffers.size();
    copy_to_guest(ram_.at(table + i * sizeof(wire::RingDescriptor)),
                  descriptor_of(buffers[i], last, static_cast<std::uint16_t>(i + 1)));
  }
  write_descriptor(head, {table, static_cast<std::uint32_t>(buffers.size() * sizeof(wire::RingDescriptor)),
                          wire::kDescriptorIndirect, 0});
  offer(head);
  return head;
}

std::optional<wire::UsedElement> DriverQueue::take_used() {
  if (used_index() == next_used_) return std::nullopt;
  const std::size_t slot = next_used_++ & (size_ - 1);
  const auto element =
      copy_from_guest<wire::UsedElement>(ram_.at(used_ + wire::kUsedRingOffset + slot * sizeof(wire::UsedElement)));
  std::vector<std::uint16_t>& chain = chains_[element.id];
  free_.insert(free_.end(), chain.rbegin(), chain.rend());
  chain.clear();
  // Asks for an interrupt with the next one.
  store_index(ram_.at(available_ + wire::avail_event_offset(size_)), next_used_);
  return element;
}

bool DriverQueue::should_notify() {
  const std::uint16_t before = std::exchange(notified_, next_available_);
  if (before == next_available_) return false;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!event_idx_) return load_index(ram_.at(used_ + wire::kUsedFlagsOffset)) != wire::kUsedNoNotify;
  return static_cast<std::uint16_t>(next_available_ - avail_event() - 1) <
         static_cast<std::uint16_t>(next_available_ - before);
}

void DriverQueue::write_descriptor(std::uint16_t index, const wire::RingDescriptor& descriptor) {
  copy_to_guest(ram_.at(descriptors_ + index * sizeof descriptor), descriptor);
}

void DriverQueue::offer(std::uint16_t head) {
  const std::size_t slot = next_available_ & (size_ - 1);
  store_index(ram_.at(available_ + wire::kAvailRingOffset + 2 * slot), head);
  set_available_index(static_cast<std::uint16_t>(next_available_ + 1));
}

void DriverQueue::set_available_index(std::uint16_t index) {
  next_available_ = index;
  store_index(ram_.at(available_ + wire::kAvailIndexOffset), index);
}

std::uint16_t DriverQueue::used_index() const { return load_index(ram_.at(used_ + wire::kUsedIndexOffset)); }

std::uint16_t DriverQueue::avail_event() const { return load_index(ram_.at(used_ + wire::used_event_offset(size_))); }

}  // namespace microagent::virtio::testing

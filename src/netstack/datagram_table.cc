#include "netstack/datagram_table.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/siphash.h"

namespace microagent::netstack {
namespace {

// A token, which is also the number of a flow that the guest opened: a serial that is never used again, the slot, the
// kind. A watch token has 56 bits.
constexpr unsigned kSlotBits = 20;
constexpr std::uint64_t kSlotMask = (std::uint64_t{1} << kSlotBits) - 1;
constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::array<std::uint64_t, kPatiences> kPatienceNs{kSecondNs, 30 * kSecondNs, 120 * kSecondNs};

constexpr std::uint64_t kSerialMask = (std::uint64_t{1} << (56 - kKindBits - kSlotBits)) - 1;

}  // namespace

std::size_t DatagramTable::KeyHash::operator()(const DatagramKey& ends) const {
  // The families follow from the addresses.
  std::array<std::uint8_t, 36> bytes;
  std::memcpy(bytes.data(), ends.guest.address.bytes.data(), 16);
  std::memcpy(bytes.data() + 16, ends.remote.address.bytes.data(), 16);
  std::memcpy(bytes.data() + 32, &ends.guest.port, 2);
  std::memcpy(bytes.data() + 34, &ends.remote.port, 2);
  return siphash(*key, bytes);
}

std::uint32_t DatagramTable::slot_of(std::uint64_t token) {
  return static_cast<std::uint32_t>(token >> kKindBits & kSlotMask);
}

DatagramFlow* DatagramTable::find(const DatagramKey& key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &slots_[found->second];
}

DatagramFlow* DatagramTable::find_token(std::uint64_t token) {
  const std::uint32_t slot = slot_of(token);
  if (slot >= slots_.size()) return nullptr;
  DatagramFlow& flow = slots_[slot];
  return flow.state != DatagramState::free && flow.token == token ? &flow : nullptr;
}

DatagramFlow* DatagramTable::find_flow(FlowId number) {
  const auto found = dialled_.find(number);
  if (found != dialled_.end()) return &slots_[found->second];
  DatagramFlow* flow = find_token(number);
  return flow != nullptr && flow->flow == number ? flow : nullptr;
}

DatagramFlow* DatagramTable::oldest() {
  DatagramFlow* oldest = nullptr;
  for (const List& list : lists_) {
    if (list.oldest == DatagramFlow::kNobody) continue;
    DatagramFlow& first = slots_[list.oldest];
    if (oldest == nullptr || first.used_ns < oldest->used_ns) oldest = &first;
  }
  return oldest;
}

DatagramFlow& DatagramTable::add(const DatagramKey& key, DatagramState state, Patience patience,
                                 std::optional<FlowId> number) {
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    MICROAGENT_CHECK(slot <= kSlotMask);
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  DatagramFlow& flow = slots_[slot];
  flow.state = state;
  flow.token = with_kind((++environment_.last_serial & kSerialMask) << kSlotBits | slot, kind_);
  flow.dialled = number.has_value();
  flow.flow = number.value_or(flow.token);
  flow.key = key;
  flow.patience = patience;
  flow.started_ns = environment_.now_ns;
  MICROAGENT_CHECK(by_key_.emplace(key, slot).second);
  if (number) MICROAGENT_CHECK(dialled_.emplace(*number, slot).second);
  link_newest(flow);
  ++size_;
  ++environment_.counters.flows;
  return flow;
}

void DatagramTable::remove(DatagramFlow& flow) {
  const std::uint32_t slot = slot_of(flow.token);
  unlink(flow);
  by_key_.erase(flow.key);
  if (flow.dialled) dialled_.erase(flow.flow);
  flow = DatagramFlow{};
  free_slots_.push_back(slot);
  --size_;
  --environment_.counters.flows;
}

void DatagramTable::change_key(DatagramFlow& flow, const DatagramKey& key) {
  by_key_.erase(flow.key);
  flow.key = key;
  MICROAGENT_CHECK(by_key_.emplace(key, slot_of(flow.token)).second);
}

void DatagramTable::set_patience(DatagramFlow& flow, Patience patience) {
  unlink(flow);
  flow.patience = patience;
  link_newest(flow);
}

std::uint64_t DatagramTable::deadline_of(const DatagramFlow& flow) {
  return flow.used_ns + kPatienceNs[static_cast<std::size_t>(flow.patience)];
}

DatagramFlow* DatagramTable::expired() {
  for (List& list : lists_) {
    if (list.look_ns > environment_.now_ns) continue;
    if (list.oldest == DatagramFlow::kNobody) {
      list.look_ns = kNever;
      continue;
    }
    DatagramFlow& first = slots_[list.oldest];
    list.look_ns = deadline_of(first);
    if (list.look_ns <= environment_.now_ns) return &first;
  }
  return nullptr;
}

std::optional<std::uint64_t> DatagramTable::next_deadline() const {
  std::uint64_t next = kNever;
  for (const List& list : lists_) next = std::min(next, list.look_ns);
  return next == kNever ? std::nullopt : std::optional(next);
}

void DatagramTable::link_newest(DatagramFlow& flow) {
  const std::uint32_t slot = slot_of(flow.token);
  List& list = list_of(flow);
  flow.used_ns = environment_.now_ns;
  flow.older = list.newest;
  flow.newer = DatagramFlow::kNobody;
  (list.newest == DatagramFlow::kNobody ? list.oldest : slots_[list.newest].newer) = slot;
  list.newest = slot;
  list.look_ns = std::min(list.look_ns, deadline_of(flow));
}

void DatagramTable::unlink(DatagramFlow& flow) {
  List& list = list_of(flow);
  (flow.older == DatagramFlow::kNobody ? list.oldest : slots_[flow.older].newer) = flow.newer;
  (flow.newer == DatagramFlow::kNobody ? list.newest : slots_[flow.newer].older) = flow.older;
}

}  // namespace microagent::netstack

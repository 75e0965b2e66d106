#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "netstack/datagram_flow.h"
#include "netstack/deadlines.h"

namespace microagent::netstack {

// The flows of one protocol: found by their ends, their number or their token. Flows stay where they are in memory
// until they are removed.
//
// They stand in one list for each patience, in the order of last use, so that the first of a list is always the next to
// expire: no timer is queued for each flow, and a guest that opens and abandons flows leaves nothing behind.
class DatagramTable {
 public:
  DatagramTable(Environment& environment, Kind kind, std::size_t limit)
      : environment_(environment), kind_(kind), limit_(limit), by_key_(0, KeyHash{&environment.config.hash_key}) {}

  DatagramFlow* find(const DatagramKey& key);
  DatagramFlow* find_token(std::uint64_t token);
  DatagramFlow* find_flow(FlowId flow);
  // The one that was not used for the longest time; null when there is none.
  DatagramFlow* oldest();

  bool full() const { return size_ >= limit_ || environment_.full(); }
  std::size_t size() const { return size_; }

  // Neither key nor flow may be there yet. `flow` is the number of a dialled flow; others get one.
  DatagramFlow& add(const DatagramKey& key, DatagramState state, Patience patience,
                    std::optional<FlowId> flow = std::nullopt);
  void remove(DatagramFlow& flow);
  void change_key(DatagramFlow& flow, const DatagramKey& key);
  // The flow is in use.
  void touch(DatagramFlow& flow) { set_patience(flow, flow.patience); }
  void set_patience(DatagramFlow& flow, Patience patience);

  // A flow that was unused for too long by now, to be removed; null when there is none (left).
  DatagramFlow* expired();
  // When expired() is worth asking at the latest. Does not move with every use.
  std::optional<std::uint64_t> next_deadline() const;

 private:
  struct KeyHash {
    const std::array<std::uint8_t, 16>* key;
    std::size_t operator()(const DatagramKey& ends) const;
  };

  struct List {
    std::uint32_t oldest = DatagramFlow::kNobody, newest = DatagramFlow::kNobody;
    std::uint64_t look_ns = kNever;  // not after the first one's deadline
  };

  static std::uint32_t slot_of(std::uint64_t token);
  static std::uint64_t deadline_of(const DatagramFlow& flow);
  List& list_of(const DatagramFlow& flow) { return lists_[static_cast<std::size_t>(flow.patience)]; }
  void link_newest(DatagramFlow& flow);
  void unlink(DatagramFlow& flow);

  Environment& environment_;
  Kind kind_;
  std::size_t limit_;
  std::size_t size_ = 0;
  std::deque<DatagramFlow> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::unordered_map<DatagramKey, std::uint32_t, KeyHash> by_key_;
  std::unordered_map<FlowId, std::uint32_t> dialled_;
  std::array<List, kPatiences> lists_;
};

}  // namespace microagent::netstack

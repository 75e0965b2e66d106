#pragma once

#include <utility>

#include "netd/front_end.h"

namespace microagent::netd {

// The stack's wire for its whole life, whichever front end is attached to it. Without one the guest has no room and no
// abilities.
class NetWire final : public netstack::Wire {
 public:
  void attach(FrontEnd* front_end) { front_end_ = front_end; }
  FrontEnd* front_end() const { return front_end_; }

  // Whether the stack has asked for room in vain since the last call.
  bool take_room_wanted() { return std::exchange(room_wanted_, false); }

  Abilities abilities() const override { return front_end_ == nullptr ? Abilities{} : front_end_->abilities(); }
  std::span<const iovec> reserve(std::size_t bytes) override {
    const auto room = front_end_ == nullptr ? std::span<const iovec>{} : front_end_->reserve(bytes);
    if (room.empty()) room_wanted_ = true;
    return room;
  }
  void commit(std::size_t bytes, const netstack::Offload& offload) override { front_end_->commit(bytes, offload); }
  void abandon() override { front_end_->abandon(); }

 private:
  FrontEnd* front_end_ = nullptr;
  bool room_wanted_ = false;
};

}  // namespace microagent::netd

#include "netd/net_port.h"

#include "netd/translate.h"

namespace microagent::netd {

std::size_t NetPort::receive(netstack::Stack& stack, std::size_t budget) {
  receiver_ = &stack;
  return device.transmit(*this, budget);
}

netstack::Wire::Abilities NetPort::abilities() const {
  return Abilities{.csum = device.has(wire::kNetGuestCsum),
                   .tso4 = device.has(wire::kNetGuestTso4),
                   .tso6 = device.has(wire::kNetGuestTso6),
                   .uso = false};
}

void NetPort::commit(std::size_t bytes, const netstack::Offload& offload) { device.commit(bytes, to_header(offload)); }

void NetPort::on_frame(std::span<const iovec> pieces, std::size_t bytes, const wire::NetHeader& header) {
  receiver_->on_frame(pieces, bytes, to_offload(header));
}

}  // namespace microagent::netd

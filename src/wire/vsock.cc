#include "wire/vsock.h"

#include "wire/agent.h"

namespace microagent::wire {

VsockError check_vsock_header(const VsockHeader& header, std::uint64_t guest_cid, std::size_t data_bytes,
                              bool seqpacket) {
  if (header.source_cid != guest_cid) return VsockError::wrong_source;
  if (header.destination_cid != kHostCid) return VsockError::wrong_destination;
  const bool known = header.type == kVsockStream || (seqpacket && header.type == kVsockSeqpacketType);
  if (!known) return VsockError::unknown_type;
  const std::uint16_t op = header.op;
  if (op == 0 || op > static_cast<std::uint16_t>(VsockOp::credit_request)) return VsockError::unknown_op;
  if (header.length > data_bytes) return VsockError::length_past_buffer;
  if (header.length != 0 && op != static_cast<std::uint16_t>(VsockOp::rw)) return VsockError::length_without_data;
  return VsockError::none;
}

}  // namespace microagent::wire

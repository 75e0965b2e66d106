#include "virtio/vhost_session.h"

#include <fmt/format.h>

#include "base/check.h"

namespace microagent::virtio {
namespace {

using wire::VhostRequest;

Status broken(std::string_view what) { return fail(ErrorKind::permanent, fmt::format("vhost-user: {}", what)); }

}  // namespace

VhostSession::VhostSession(Fd socket, const DeviceProfile& profile, VhostEvents& events)
    : socket_(std::move(socket)), profile_(profile), events_(events) {
  MICROAGENT_CHECK(profile.queue_count <= kMaxQueues && profile.config.size() <= wire::kVhostMaxConfig);
}

Status VhostSession::on_readable() {
  VhostMessage message;
  while (true) {
    const auto received = socket_.receive(message);
    if (!received) return fail(received.error());
    if (!*received) return {};
    if (Status handled = dispatch(message); !handled) return handled;
  }
}

void VhostSession::stop_all() {
  for (std::size_t i = 0; i < profile_.queue_count; ++i) remove_kick(i);
}

Status VhostSession::dispatch(VhostMessage& message) {
  const auto request = static_cast<VhostRequest>(std::uint32_t{message.header.request});
  Status handled;
  switch (request) {
    case VhostRequest::get_features: return reply_u64(message, profile_.features | wire::kVhostProtocolFeatures);
    case VhostRequest::get_protocol_features: return reply_u64(message, profile_.protocol_features);
    case VhostRequest::get_queue_count: return reply_u64(message, profile_.queue_count);
    case VhostRequest::get_vring_base: return get_vring_base(message);
    case VhostRequest::get_config: return get_config(message);

    case VhostRequest::set_owner: break;
    case VhostRequest::reset_owner: stop_all(); break;
    case VhostRequest::send_rarp: break;  // after a migration; our wire has no other station to tell
    case VhostRequest::set_mtu: break;    // the guest learns it from QEMU; frames are bounded by its buffers
    case VhostRequest::set_features: handled = set_features(message.payload); break;
    case VhostRequest::set_protocol_features: handled = set_protocol_features(message.payload); break;
    case VhostRequest::set_memory_table: handled = set_memory_table(message); break;
    case VhostRequest::set_vring_size:
    case VhostRequest::set_vring_base:
    case VhostRequest::set_vring_enable: handled = set_vring_state(request, message.payload); break;
    case VhostRequest::set_vring_address: handled = set_vring_address(message.payload); break;
    case VhostRequest::set_vring_kick:
    case VhostRequest::set_vring_call:
    case VhostRequest::set_vring_error: handled = set_vring_fd(request, message); break;
    default: return broken(fmt::format("unknown request {}", static_cast<std::uint32_t>(request)));
  }
  if (!handled) return handled;
  const bool wants_reply = (message.header.flags & wire::kVhostNeedReply) != 0;
  if (!wants_reply || (protocol_features_ & wire::kVhostProtocolReplyAck) == 0) return {};
  return reply_u64(message, 0);
}

Status VhostSession::reply_u64(const VhostMessage& message, std::uint64_t value) {
  return socket_.reply(message.header, bytes_of(le64(value)));
}

Status VhostSession::set_features(ByteView payload) {
  const auto features = wire::parse_vhost_u64(payload);
  if (!features) return broken("malformed set_features");
  if ((*features & ~(profile_.features | wire::kVhostProtocolFeatures)) != 0) {
    return broken("features accepted that were not on offer");
  }
  features_ = *features;
  // Without protocol features there is no set_vring_enable: rings begin enabled.
  if ((features_ & wire::kVhostProtocolFeatures) == 0) {
    for (Vring& queue : queues_) queue.set_enabled(true);
  }
  settle(true);
  return {};
}

Status VhostSession::set_protocol_features(ByteView payload) {
  const auto features = wire::parse_vhost_u64(payload);
  if (!features) return broken("malformed set_protocol_features");
  if ((*features & ~profile_.protocol_features) != 0) {
    return broken("protocol features accepted that were not on offer");
  }
  protocol_features_ = *features;
  return {};
}

Status VhostSession::set_memory_table(VhostMessage& message) {
  const auto table = wire::parse_vhost_memory_table(message.payload);
  if (!table) return broken("malformed memory table");
  auto mapped = GuestMemory::map(*table, message.files);
  if (!mapped) return fail(with_context(mapped.error(), "vhost-user"));
  memory_ = std::move(*mapped);
  settle(true);
  return {};
}

Status VhostSession::set_vring_state(VhostRequest request, ByteView payload) {
  const auto state = wire::parse_vhost_vring_state(payload);
  if (!state || !valid(state->index)) return broken("malformed vring state or bad ring index");
  Vring& queue = queues_[state->index];
  if (request == VhostRequest::set_vring_enable) {
    queue.set_enabled(state->value != 0);
    settle(false);
    return {};
  }
  if (queue.running()) return broken("size or base of a running ring changed");
  if (request == VhostRequest::set_vring_size) {
    if (state->value == 0 || state->value > kMaxQueueSize) return broken("ring size not allowed");
    queue.set_size(state->value);
  } else {
    queue.set_base(state->value);
  }
  return {};
}

Status VhostSession::set_vring_address(ByteView payload) {
  const auto address = wire::parse_vhost_vring_address(payload);
  if (!address || !valid(address->index)) return broken("malformed vring address or bad ring index");
  Vring& queue = queues_[address->index];
  queue.set_addresses(address->descriptors, address->available, address->used);
  if (queue.running()) settle(true);
  return {};
}

Status VhostSession::set_vring_fd(VhostRequest request, VhostMessage& message) {
  const auto vring = wire::parse_vhost_vring_fd(message.payload);
  if (!vring || !valid(vring->index)) return broken("malformed vring descriptor message or bad ring index");
  if (vring->has_fd && message.files.empty()) return broken("vring message without its descriptor");
  Fd file = vring->has_fd ? std::move(message.files.front()) : Fd();
  switch (request) {
    case VhostRequest::set_vring_call: queues_[vring->index].set_call(std::move(file)); return {};
    case VhostRequest::set_vring_error: queues_[vring->index].set_error(std::move(file)); return {};
    default: return set_kick(vring->index, std::move(file));
  }
}

Status VhostSession::set_kick(std::size_t index, Fd kick) {
  if (!kick) return broken("a ring without kick descriptor would have to be polled");
  Vring& queue = queues_[index];
  if (queue.kick_fd() >= 0) events_.on_kick_removed(index, queue.kick_fd());
  queue.set_kick(std::move(kick));
  if (!events_.on_kick_added(index, queue.kick_fd())) return broken("kick descriptor cannot be watched");
  settle(false);
  return {};
}

Status VhostSession::get_vring_base(const VhostMessage& message) {
  const auto state = wire::parse_vhost_vring_state(message.payload);
  if (!state || !valid(state->index)) return broken("malformed get_vring_base or bad ring index");
  remove_kick(state->index);
  const wire::VhostVringState answer{state->index, queues_[state->index].halt()};
  return socket_.reply(message.header, bytes_of(answer));
}

Status VhostSession::get_config(const VhostMessage& message) {
  const auto wanted = wire::parse_vhost_config_request(message.payload);
  if (!wanted) return broken("malformed get_config");
  std::array<std::uint8_t, wire::kVhostMaxPayload> answer{};
  Writer writer(answer);
  const std::size_t offset = wanted->offset;
  const std::size_t size = wanted->size;
  if (offset > profile_.config.size() || size > profile_.config.size() - offset) {
    return socket_.reply(message.header, {});  // the protocol's way to say that it cannot be had
  }
  MICROAGENT_CHECK(writer.write(*wanted) && writer.write(profile_.config.subspan(offset, size)));
  return socket_.reply(message.header, ByteView(answer).first(writer.written()));
}

void VhostSession::remove_kick(std::size_t index) {
  Vring& queue = queues_[index];
  if (queue.kick_fd() >= 0) events_.on_kick_removed(index, queue.kick_fd());
  (void)queue.halt();
}

void VhostSession::settle(bool changed) {
  for (std::size_t i = 0; i < profile_.queue_count; ++i) queues_[i].settle(memory_, features_, changed);
}

std::uint64_t VhostSession::halts() const {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < queue_count(); ++i) count += queue(i).halts();
  return count;
}

}  // namespace microagent::virtio

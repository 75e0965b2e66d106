#include "virtio/testing/front_end.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/check.h"

namespace microagent::virtio::testing {

using wire::VhostRequest;

FrontEnd::FrontEnd(Fd socket, std::function<void()> pump) : socket_(std::move(socket)), pump_(std::move(pump)) {}

void FrontEnd::send(VhostRequest request, ByteView payload, std::span<const int> files) {
  const wire::VhostHeader header{static_cast<std::uint32_t>(request), wire::kVhostVersion,
                                 static_cast<std::uint32_t>(payload.size())};
  std::vector<std::uint8_t> bytes(bytes_of(header).begin(), bytes_of(header).end());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  send_raw(bytes, files);
}

void FrontEnd::send_u64(VhostRequest request, std::uint64_t value, std::span<const int> files) {
  send(request, bytes_of(le64(value)), files);
}

void FrontEnd::send_state(VhostRequest request, std::uint32_t index, std::uint32_t value) {
  send(request, bytes_of(wire::VhostVringState{index, value}));
}

void FrontEnd::send_raw(ByteView bytes, std::span<const int> files) {
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  std::vector<char> control(CMSG_SPACE(files.size_bytes()));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!files.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(files.size_bytes());
    std::memcpy(CMSG_DATA(rights), files.data(), files.size_bytes());
  }
  (void)::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);  // a back end that hung up shows at the next reply
}

std::optional<std::vector<std::uint8_t>> FrontEnd::ask(VhostRequest request, ByteView payload) {
  send(request, payload);
  if (pump_) pump_();
  return read_reply();
}

std::optional<std::uint64_t> FrontEnd::ask_u64(VhostRequest request) {
  const auto payload = ask(request);
  if (!payload) return std::nullopt;
  return wire::parse_vhost_u64(*payload);
}

std::optional<std::vector<std::uint8_t>> FrontEnd::read_reply() {
  wire::VhostHeader header;
  const int flags = MSG_WAITALL | (pump_ ? MSG_DONTWAIT : 0);
  if (::recv(socket_.get(), &header, sizeof header, flags) != static_cast<ssize_t>(sizeof header)) return std::nullopt;
  MICROAGENT_CHECK((header.flags & wire::kVhostReply) != 0 && header.size <= wire::kVhostMaxPayload);
  std::vector<std::uint8_t> payload(header.size);
  if (payload.empty()) return payload;
  const ssize_t received = ::recv(socket_.get(), payload.data(), payload.size(), flags);
  if (received != static_cast<ssize_t>(payload.size())) return std::nullopt;
  return payload;
}

void FrontEnd::start(GuestRam& ram, std::span<DriverQueue* const> queues, std::uint64_t features) {
  send(VhostRequest::set_owner, {});
  send_u64(VhostRequest::set_features, features | wire::kVhostProtocolFeatures);
  std::array<std::uint8_t, wire::kVhostMaxPayload> table{};
  const std::size_t size = wire::encode_vhost_memory_table(ram.table(), table);
  send(VhostRequest::set_memory_table, ByteView(table).first(size), std::array{ram.file().get()});
  kicks_.clear();
  calls_.clear();
  for (std::uint32_t i = 0; i < queues.size(); ++i) {
    const Ring::Setup setup = queues[i]->setup(false);
    kicks_.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    calls_.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    send_state(VhostRequest::set_vring_size, i, setup.size);
    send_state(VhostRequest::set_vring_base, i, setup.base);
    const wire::VhostVringAddress address{i, 0, setup.descriptors, setup.used, setup.available, 0};
    send(VhostRequest::set_vring_address, bytes_of(address));
    const std::uint64_t word = wire::encode_vhost_vring_fd({static_cast<std::uint8_t>(i), true});
    send_u64(VhostRequest::set_vring_kick, word, std::array{kicks_[i].get()});
    send_u64(VhostRequest::set_vring_call, word, std::array{calls_[i].get()});
    send_state(VhostRequest::set_vring_enable, i, 1);
  }
  if (pump_) pump_();
}

void FrontEnd::stop() {
  bases_.clear();
  for (std::uint32_t i = 0; i < kicks_.size(); ++i) {
    const auto answer = ask(VhostRequest::get_vring_base, bytes_of(wire::VhostVringState{i, 0}));
    MICROAGENT_CHECK(answer);
    const auto state = wire::parse_vhost_vring_state(*answer);
    MICROAGENT_CHECK(state);
    bases_.push_back(state->value);
  }
}

void FrontEnd::go_on() {
  for (std::uint32_t i = 0; i < bases_.size(); ++i) {
    send_state(VhostRequest::set_vring_base, i, bases_[i]);
    const std::uint64_t word = wire::encode_vhost_vring_fd({static_cast<std::uint8_t>(i), true});
    send_u64(VhostRequest::set_vring_kick, word, std::array{kicks_[i].get()});
  }
  if (pump_) pump_();
}

void FrontEnd::kick(std::size_t queue) { (void)::eventfd_write(kicks_[queue].get(), 1); }

std::uint64_t FrontEnd::take_interrupts(std::size_t queue) {
  eventfd_t count = 0;
  return ::eventfd_read(calls_[queue].get(), &count) == 0 ? count : 0;
}

}  // namespace microagent::virtio::testing

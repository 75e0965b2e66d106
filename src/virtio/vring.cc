#include "virtio/vring.h"

#include <fcntl.h>
#include <unistd.h>

#include "wire/virtio.h"

namespace microagent::virtio {
namespace {

// The descriptor may be anything; writing to it must never stop us.
void make_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) (void)::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

// Adds one to an eventfd. A full counter is a signal nobody has read yet: no need for another.
void signal(const Fd& event) {
  const std::uint64_t one = 1;
  if (event) (void)!::write(event.get(), &one, sizeof one);
}

}  // namespace

void Vring::set_addresses(std::uint64_t descriptors, std::uint64_t available, std::uint64_t used) {
  descriptors_ = descriptors;
  available_ = available;
  used_ = used;
}

void Vring::set_call(Fd call) {
  call_ = std::move(call);
  if (!call_) return;
  make_nonblocking(call_.get());
  // What was published while there was no descriptor would else never be noticed.
  if (running()) signal(call_);
}

void Vring::set_error(Fd error) {
  error_ = std::move(error);
  if (error_) make_nonblocking(error_.get());
}

void Vring::settle(const GuestMemory& memory, std::uint64_t features, bool changed) {
  const bool wanted = kick_ && enabled_;
  if (running() && (!wanted || changed)) {
    base_ = ring_.next_available();
    ring_.stop();
  }
  if (!wanted || running() || !may_start(changed)) return;
  started_at_ = base_;
  (void)ring_.start(memory, Ring::Setup{
                                .size = static_cast<std::uint16_t>(size_),
                                .base = base_,
                                .descriptors = descriptors_,
                                .available = available_,
                                .used = used_,
                                .event_idx = (features & wire::kRingEventIdx) != 0,
                                .indirect = (features & wire::kRingIndirectDescriptors) != 0,
                            });
  note_fault();
}

// A ring that its driver broke stays stopped until the front end halts it; one whose areas were not in memory may try
// again with the next memory table.
bool Vring::may_start(bool changed) const {
  if (ring_.fault() == RingFault::none) return true;
  return changed && ring_.fault() == RingFault::areas_not_in_memory;
}

std::uint16_t Vring::halt() {
  if (running() || ring_.fault() != RingFault::none) base_ = ring_.next_available();
  ring_.stop();
  kick_.reset();
  ++halts_;
  return base_;
}

bool Vring::pop(std::span<iovec> room, Chain& out) {
  if (!running()) return false;
  if (ring_.pop(room, out)) return true;
  note_fault();
  return false;
}

void Vring::stop_for(RingFault fault) {
  ring_.stop_for(fault);
  note_fault();
}

void Vring::note_fault() {
  if (ring_.fault() == RingFault::none) return;
  new_fault_ = ring_.fault();
  signal(error_);
}

void Vring::flush() {
  if (ring_.publish()) signal(call_);
}

void show(Vring& to_guest, Vring& from_guest, Show what) {
  // The guest must not run out of descriptors, nor of what its sockets may have on the way.
  constexpr std::uint16_t kMostKept = 16;
  const bool has_news = to_guest.ring().unpublished() > 0;
  // The frames taken first: a driver that is interrupted for the others finds them.
  if (what == Show::all || has_news || from_guest.ring().unpublished() >= kMostKept) from_guest.flush();
  to_guest.flush();
}

}  // namespace microagent::virtio

#include "virtio/testing/guest_ram.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

namespace microagent::virtio::testing {

GuestRam::GuestRam(std::size_t bytes) : file_(::memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING)), size_(bytes) {
  MICROAGENT_CHECK(file_ && ::ftruncate(file_.get(), static_cast<off_t>(bytes)) == 0);
  void* mapping = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  MICROAGENT_CHECK(mapping != MAP_FAILED);
  bytes_ = static_cast<std::uint8_t*>(mapping);
}

GuestRam::~GuestRam() { ::munmap(bytes_, size_); }

std::uint64_t GuestRam::allocate(std::size_t bytes, std::size_t alignment) {
  const std::size_t address = (next_ + alignment - 1) / alignment * alignment;
  MICROAGENT_CHECK(address + bytes <= size_);
  next_ = address + bytes;
  return address;
}

wire::VhostMemoryTable GuestRam::table() const {
  wire::VhostMemoryTable table;
  table.count = 1;
  table.regions[0] = wire::VhostRegion{0, size_, kUserBase, 0};
  return table;
}

}  // namespace microagent::virtio::testing

#pragma once

#include <cstddef>
#include <cstdint>

#include "base/fd.h"
#include "wire/vhost_user.h"

namespace microagent::virtio::testing {

// Where the make-believe front end claims to have the guest's memory mapped.
inline constexpr std::uint64_t kUserBase = 0x7f00'0000'0000;

// A guest's memory: one memfd, mapped here, guest physical address 0 at its first byte. A bump allocator hands it out.
class GuestRam {
 public:
  explicit GuestRam(std::size_t bytes);
  ~GuestRam();
  GuestRam(const GuestRam&) = delete;
  GuestRam& operator=(const GuestRam&) = delete;

  const Fd& file() const { return file_; }
  std::size_t size() const { return size_; }
  std::uint8_t* at(std::uint64_t guest_address) { return bytes_ + guest_address; }

  // The address of fresh, zeroed memory; ends the process when there is none left.
  std::uint64_t allocate(std::size_t bytes, std::size_t alignment = 16);

  // All of it as one region.
  wire::VhostMemoryTable table() const;

 private:
  Fd file_;
  std::size_t size_ = 0;
  std::size_t next_ = 4096;  // address 0 stays unused: an accidental null must not look right
  std::uint8_t* bytes_ = nullptr;
};

}  // namespace microagent::virtio::testing

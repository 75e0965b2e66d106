#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "wire/vhost_user.h"

namespace microagent::virtio {

// The guest's memory as a front end shares it: at most eight regions, each mapped from a file it passed.
//
// The guest and the front end can write to it at any moment; whoever reads copies out once and uses the copy. What the
// mapping itself promises: every address that at() gives stays backed until this object ends, since a file that may
// still shrink is refused or sealed first (a read behind its end would be SIGBUS).
class GuestMemory {
 public:
  GuestMemory() = default;
  GuestMemory(GuestMemory&& other) noexcept;
  GuestMemory& operator=(GuestMemory&& other) noexcept;
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;
  ~GuestMemory();

  // Maps a whole table, file i being region i's. Refused: an empty, wrapping or overlapping region, one that reaches
  // past its file's end, a file that cannot be sealed against shrinking.
  static Result<GuestMemory> map(const wire::VhostMemoryTable& table, std::span<const Fd> files);

  // `length` bytes at a guest physical address, or nullptr when they are not all inside one region. A length of 0 is
  // never inside.
  std::uint8_t* at(std::uint64_t guest_address, std::uint64_t length) const;

  // The same for an address in the front end's own address space, in which it names the rings.
  std::uint8_t* at_user(std::uint64_t user_address, std::uint64_t length) const;

 private:
  struct Region {
    std::uint64_t guest_address = 0;
    std::uint64_t user_address = 0;
    std::uint64_t size = 0;
    std::uint8_t* bytes = nullptr;  // the region's first byte
    void* mapping = nullptr;        // what mmap gave: begins at the file's first byte
    std::size_t mapping_size = 0;
  };

  Status add(const wire::VhostRegion& wanted, int file);
  bool overlaps(const wire::VhostRegion& wanted) const;
  void swap(GuestMemory& other) noexcept;
  std::span<const Region> regions() const { return std::span(regions_).first(count_); }

  std::array<Region, wire::kVhostMaxRegions> regions_{};
  std::size_t count_ = 0;
};

}  // namespace microagent::virtio

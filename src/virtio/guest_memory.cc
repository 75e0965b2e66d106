#include "virtio/guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <utility>

namespace microagent::virtio {
namespace {

constexpr std::uint64_t kMaxAddress = std::numeric_limits<std::uint64_t>::max();

bool wraps(std::uint64_t start, std::uint64_t size) { return size > kMaxAddress - start; }

bool meet(std::uint64_t a, std::uint64_t a_size, std::uint64_t b, std::uint64_t b_size) {
  return a < b ? b - a < a_size : a - b < b_size;
}

bool inside(std::uint64_t address, std::uint64_t length, std::uint64_t start, std::uint64_t size) {
  return address >= start && address - start < size && length <= size - (address - start);
}

Status seal_against_shrinking(int file) {
  const int seals = ::fcntl(file, F_GET_SEALS);
  if (seals >= 0 && (seals & F_SEAL_SHRINK) != 0) return {};
  if (seals >= 0 && ::fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) == 0) return {};
  return fail(ErrorKind::permanent, "guest memory could shrink under us",
              "share it as a memfd that allows sealing (QEMU: memory-backend-memfd,share=on)");
}

}  // namespace

GuestMemory::GuestMemory(GuestMemory&& other) noexcept { swap(other); }

GuestMemory& GuestMemory::operator=(GuestMemory&& other) noexcept {
  GuestMemory taken(std::move(other));
  swap(taken);
  return *this;
}

GuestMemory::~GuestMemory() {
  for (const Region& region : regions()) ::munmap(region.mapping, region.mapping_size);
}

void GuestMemory::swap(GuestMemory& other) noexcept {
  std::swap(regions_, other.regions_);
  std::swap(count_, other.count_);
}

Result<GuestMemory> GuestMemory::map(const wire::VhostMemoryTable& table, std::span<const Fd> files) {
  if (files.size() != table.count) return fail(ErrorKind::permanent, "memory table without a file for each region");
  GuestMemory memory;
  for (std::size_t i = 0; i < table.count; ++i) {
    if (Status added = memory.add(table.regions[i], files[i].get()); !added) return fail(added.error());
  }
  return memory;
}

Status GuestMemory::add(const wire::VhostRegion& wanted, int file) {
  const std::uint64_t size = wanted.size;
  const std::uint64_t offset = wanted.file_offset;
  if (size == 0 || wraps(wanted.guest_address, size) || wraps(wanted.user_address, size) || wraps(offset, size)) {
    return fail(ErrorKind::permanent, "memory region empty or past the end of the address space");
  }
  if (overlaps(wanted)) return fail(ErrorKind::permanent, "memory regions overlap");
  if (Status sealed = seal_against_shrinking(file); !sealed) return sealed;

  // Only now is the size sure to stay.
  const off_t file_size = ::lseek(file, 0, SEEK_END);
  if (file_size < 0) return fail_errno(errno, "cannot tell the size of a memory region's file");
  if (offset + size > static_cast<std::uint64_t>(file_size)) {
    return fail(ErrorKind::permanent, "memory region reaches past the end of its file");
  }

  // From the file's first byte: a region's offset need not be a multiple of the page size of a huge-page file.
  void* mapping = ::mmap(nullptr, offset + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  if (mapping == MAP_FAILED) return fail_errno(errno, "cannot map guest memory");
  regions_[count_++] =
      Region{wanted.guest_address, wanted.user_address, size, static_cast<std::uint8_t*>(mapping) + offset, mapping,
             offset + size};
  return {};
}

bool GuestMemory::overlaps(const wire::VhostRegion& wanted) const {
  for (const Region& region : regions()) {
    if (meet(region.guest_address, region.size, wanted.guest_address, wanted.size)) return true;
    if (meet(region.user_address, region.size, wanted.user_address, wanted.size)) return true;
  }
  return false;
}

std::uint8_t* GuestMemory::at(std::uint64_t guest_address, std::uint64_t length) const {
  if (length == 0) return nullptr;
  for (const Region& region : regions()) {
    if (!inside(guest_address, length, region.guest_address, region.size)) continue;
    return region.bytes + (guest_address - region.guest_address);
  }
  return nullptr;
}

std::uint8_t* GuestMemory::at_user(std::uint64_t user_address, std::uint64_t length) const {
  if (length == 0) return nullptr;
  for (const Region& region : regions()) {
    if (!inside(user_address, length, region.user_address, region.size)) continue;
    return region.bytes + (user_address - region.user_address);
  }
  return nullptr;
}

}  // namespace microagent::virtio

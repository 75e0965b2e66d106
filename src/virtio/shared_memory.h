#pragma once

// Access to memory that the guest changes at the same time. Everything else in this folder reads and writes it through
// these four.

#include <atomic>
#include <cstdint>
#include <cstring>

namespace microagent::virtio {

// Copies out once. The fence keeps the compiler from reading the source a second time in place of the copy.
template <typename T>
T copy_from_guest(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return value;
}

template <typename T>
void copy_to_guest(std::uint8_t* to, const T& value) {
  std::memcpy(to, &value, sizeof value);
}

// Indices and flags, which both sides look at while the other works. `at` is aligned to 2; little-endian hosts only.
inline std::uint16_t load_index(const std::uint8_t* at) {
  return __atomic_load_n(reinterpret_cast<const std::uint16_t*>(at), __ATOMIC_ACQUIRE);
}

inline void store_index(std::uint8_t* at, std::uint16_t value) {
  __atomic_store_n(reinterpret_cast<std::uint16_t*>(at), value, __ATOMIC_RELEASE);
}

}  // namespace microagent::virtio

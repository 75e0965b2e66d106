#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace microagent {

using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

// An unsigned integer as it lies on the wire: a byte array of fixed order and alignment 1, so that a
// header struct made of these has no padding and may be copied to and from any address.
template <typename T, std::endian Order>
class WireInt {
 public:
  static_assert(std::is_unsigned_v<T>);
  constexpr WireInt() = default;
  constexpr WireInt(T value) { store(value); }  // NOLINT: an implicit conversion is the point
  constexpr operator T() const {                // NOLINT
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(T{bytes_[i]} << shift(i));
    return value;
  }
  constexpr WireInt& operator=(T value) {
    store(value);
    return *this;
  }

 private:
  static constexpr unsigned shift(std::size_t i) {
    return static_cast<unsigned>(8 * (Order == std::endian::big ? sizeof(T) - 1 - i : i));
  }
  constexpr void store(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes_[i] = static_cast<std::uint8_t>(value >> shift(i));
  }
  std::array<std::uint8_t, sizeof(T)> bytes_{};
};

using be16 = WireInt<std::uint16_t, std::endian::big>;
using be32 = WireInt<std::uint32_t, std::endian::big>;
using be64 = WireInt<std::uint64_t, std::endian::big>;
using le16 = WireInt<std::uint16_t, std::endian::little>;
using le32 = WireInt<std::uint32_t, std::endian::little>;
using le64 = WireInt<std::uint64_t, std::endian::little>;

static_assert(sizeof(be32) == 4 && alignof(be32) == 1);

// The bytes of a trivially copyable object, for sending it.
template <typename T>
  requires std::is_trivially_copyable_v<T>
ByteView bytes_of(const T& object) {
  return {reinterpret_cast<const std::uint8_t*>(&object), sizeof(T)};
}

// The bytes of a text, where it lies.
inline ByteView text_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Reads from a span without ever leaving it. A read that does not fit fails and consumes nothing.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  std::size_t left() const { return rest_.size(); }
  ByteView rest() const { return rest_; }

  // Copies one header out; `out` is untouched when the bytes do not suffice.
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] bool read(T& out) {
    if (rest_.size() < sizeof(T)) return false;
    std::memcpy(&out, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return true;
  }

  // Borrows the next `count` bytes.
  [[nodiscard]] bool take(std::size_t count, ByteView& out) {
    if (rest_.size() < count) return false;
    out = rest_.first(count);
    rest_ = rest_.subspan(count);
    return true;
  }

  [[nodiscard]] bool skip(std::size_t count) {
    ByteView ignored;
    return take(count, ignored);
  }

 private:
  ByteView rest_;
};

// Writes into a span without ever leaving it. A write that does not fit fails and writes nothing.
class Writer {
 public:
  explicit Writer(MutableBytes bytes) : bytes_(bytes) {}

  std::size_t written() const { return written_; }
  std::size_t left() const { return bytes_.size() - written_; }

  [[nodiscard]] bool write(ByteView bytes) {
    if (left() < bytes.size()) return false;
    if (!bytes.empty()) std::memcpy(bytes_.data() + written_, bytes.data(), bytes.size());
    written_ += bytes.size();
    return true;
  }

  template <typename T>
    requires std::is_trivially_copyable_v<T> && (!std::is_convertible_v<T, ByteView>)
  [[nodiscard]] bool write(const T& object) {
    return write(bytes_of(object));
  }

 private:
  MutableBytes bytes_;
  std::size_t written_ = 0;
};

}  // namespace microagent

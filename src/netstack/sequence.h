#pragma once

#include <cstdint>

namespace microagent::netstack {

// A TCP sequence number (RFC 9293, 3.4): a point on a circle of 2^32. Comparisons hold for points less than half the
// circle apart.
class Seq {
 public:
  constexpr Seq() = default;
  constexpr explicit Seq(std::uint32_t value) : value_(value) {}

  constexpr std::uint32_t value() const { return value_; }

  constexpr Seq operator+(std::size_t bytes) const { return Seq(value_ + static_cast<std::uint32_t>(bytes)); }
  constexpr Seq operator-(std::size_t bytes) const { return Seq(value_ - static_cast<std::uint32_t>(bytes)); }
  constexpr Seq& operator+=(std::size_t bytes) { return *this = *this + bytes; }
  // The signed distance from `from` to here.
  constexpr std::int32_t operator-(Seq from) const { return static_cast<std::int32_t>(value_ - from.value_); }

  constexpr bool operator==(const Seq&) const = default;
  constexpr bool operator<(Seq other) const { return *this - other < 0; }
  constexpr bool operator>(Seq other) const { return *this - other > 0; }
  constexpr bool operator<=(Seq other) const { return *this - other <= 0; }
  constexpr bool operator>=(Seq other) const { return *this - other >= 0; }

 private:
  std::uint32_t value_ = 0;
};

constexpr Seq max(Seq a, Seq b) { return a < b ? b : a; }
constexpr Seq min(Seq a, Seq b) { return a < b ? a : b; }

// The distance between two points known to be in order.
constexpr std::uint32_t span(Seq from, Seq to) { return static_cast<std::uint32_t>(to.value() - from.value()); }

}  // namespace microagent::netstack

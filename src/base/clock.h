#pragma once

#include <cstdint>
#include <string>

namespace microagent {

// Nanoseconds of CLOCK_MONOTONIC.
std::uint64_t monotonic_ns();

// The wall clock as RFC 3339 in UTC with nanoseconds: 2026-06-27T09:01:02.123456789Z.
std::string utc_timestamp();

}  // namespace microagent

#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace microagent::image {

// Of a workspace's root disk, where nothing is said: sparse, so that it takes only what is written.
inline constexpr std::uint64_t kDefaultDiskMib = 10 * 1024;

// A copy-on-write disk over a base in the same directory: what the guest writes goes here. Where no size is said (0) it
// is the usual one, or what the base needs. Kind usage when it is to be smaller than that.
Status make_overlay(const std::filesystem::path& base, const std::filesystem::path& disk, std::uint64_t size_mib);

}  // namespace microagent::image

#pragma once

// What lies beside the guest's configuration (wire/guest_config.h): the certificates of authorities that the host
// trusts, in PEM, for a guest that knows none by itself. A guest without a network gets none. They do not go with the
// frame that tells whom to trust, which comes later and has no room for them, since most guests need none.

#include <cstddef>

namespace microagent::wire {

inline constexpr std::size_t kMaxRoots = 1024 * 1024;  // bytes

}  // namespace microagent::wire

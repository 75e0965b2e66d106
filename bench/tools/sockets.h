#pragma once

#include <cstdint>
#include <string_view>

namespace netpipe {

// Says what failed, with errno's words, and ends the program with code 1.
[[noreturn]] void die(std::string_view what);

// A socket of `type` (SOCK_STREAM, SOCK_DGRAM) bound to the address, an IP literal; listening if it is a stream.
int listen_at(std::string_view address, std::uint16_t port, int type);

// A connected socket; a stream without Nagle's algorithm. The address "vsock" is the host, from within a guest.
int connect_to(std::string_view address, std::uint16_t port, int type);

}  // namespace netpipe

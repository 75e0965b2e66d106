#pragma once

// Opens the outbound sockets: the only place of the whole program that does.

#include <cstdint>
#include <string>
#include <tl/expected.hpp>

#include "flow/messages.h"
#include "mediator/io.h"
#include "policy/address.h"

namespace microagent::mediator {

inline constexpr std::chrono::milliseconds kDialTimeout{10'000};

struct Target {
  flow::Protocol protocol{};
  policy::Address address;
  std::uint16_t port = 0;   // 0 for ICMP
  std::uint32_t scope = 0;  // interface index of a link-local address
};

struct DialError {
  flow::Refusal refusal{};  // what the guest is told
  std::string text;         // for the record
};

// A connected, nonblocking, close-on-exec socket: TCP (without Nagle's delay, kept alive), UDP, or a ping socket
// (icmp(7)). Its peer has been compared with the target.
asio::awaitable<tl::expected<Fd, DialError>> dial(Target target, Deadline deadline);

}  // namespace microagent::mediator

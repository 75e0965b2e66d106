#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "wire/ip_address.h"

namespace microagent::init {

// One request to the kernel's routing netlink (rtnetlink(7)): a header, a fixed body, then attributes.
class NetlinkMessage {
 public:
  template <typename Body>
  NetlinkMessage(std::uint16_t type, std::uint16_t flags, const Body& body) {
    begin(type, flags);
    append(bytes_of(body));
  }

  void add(std::uint16_t attribute, ByteView value);
  void add(std::uint16_t attribute, std::uint32_t value) { add(attribute, bytes_of(value)); }
  void add(std::uint16_t attribute, const wire::IpAddress& address);

  ByteView finish(std::uint32_t sequence, std::uint16_t more_flags);

 private:
  void begin(std::uint16_t type, std::uint16_t flags);
  void append(ByteView bytes);

  std::vector<std::uint8_t> bytes_;
};

// The attributes behind a message's fixed body.
void for_each_attribute(ByteView bytes, const std::function<void(std::uint16_t type, ByteView value)>& on_attribute);

class NetlinkSocket {
 public:
  using OnMessage = std::function<void(std::uint16_t type, ByteView body)>;

  // `groups`: bits of the multicast groups to hear (RTMGRP_LINK), 0 for none.
  static Result<NetlinkSocket> open(std::uint32_t groups);

  // Asks for a change and waits for the kernel's word that it is done. `what` is what an error says.
  Status change(NetlinkMessage message, std::string_view what);
  // Asks for all objects of a kind.
  Status dump(NetlinkMessage message, const OnMessage& on_message);
  // The next messages of the groups; waits for them until `deadline_ns` (CLOCK_MONOTONIC). False when none came.
  bool hear(std::uint64_t deadline_ns, const OnMessage& on_message);

 private:
  // What answers to request `sequence`: objects, then its end or an error number.
  enum class Answer : std::uint8_t { more, done };
  explicit NetlinkSocket(Fd fd) : fd_(std::move(fd)) {}
  Status send(ByteView message);
  Result<ByteView> receive();
  Result<Answer> take(ByteView datagram, const OnMessage& on_message) const;
  Status exchange(NetlinkMessage& message, std::uint16_t flags, const OnMessage& on_message);

  Fd fd_;
  std::uint32_t sequence_ = 0;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace microagent::init

#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/fd.h"
#include "netstack/socket_error.h"

namespace microagent::netstack {

// The host's end of a conversation in datagrams: a connected UDP or ping socket, or an AF_UNIX one that keeps the
// bounds of messages. Every call returns at once.
class HostSocket {
 public:
  enum class Kind : std::uint8_t { ipv4, ipv6, unix_datagrams, unix_packets };

  HostSocket() = default;
  // Nothing when the descriptor is none of these.
  static std::optional<HostSocket> adopt(Fd fd);

  int fd() const { return fd_.get(); }
  Kind kind() const { return kind_; }
  bool is_inet() const { return kind_ == Kind::ipv4 || kind_ == Kind::ipv6; }
  // An end of the stream of messages is told apart from a message of no bytes.
  bool has_end() const { return kind_ == Kind::unix_packets; }

  // 0 is the kernel's own choice.
  void set_hop_limit(std::uint8_t hop_limit);
  // Whether datagrams that are too large for the path are refused (EMSGSIZE) rather than cut into fragments.
  void set_dont_fragment(bool on);
  std::uint8_t hop_limit() const { return hop_limit_; }
  bool dont_fragment() const { return dont_fragment_; }

  // Whether a UDP socket may be given many datagrams as one message; until that has failed once.
  bool may_segment() const { return is_inet() && may_segment_; }
  void forbid_segments() { may_segment_ = false; }

  struct Received {
    std::size_t bytes = 0;
    bool truncated = false;
    int error_number = 0;  // 0: a message was received
  };
  Received receive(std::span<iovec> pieces) const;
  // The oldest report that waits; nothing when none does. A socket error that is pending with it is cleared.
  std::optional<SocketError> take_error() const;
  // 0 when it is not known.
  std::uint32_t path_mtu() const;

 private:
  HostSocket(Fd fd, Kind kind) : fd_(std::move(fd)), kind_(kind) {}
  void set(int level, int option, int value) const;

  Fd fd_;
  Kind kind_ = Kind::ipv4;
  std::uint8_t hop_limit_ = 0;
  bool dont_fragment_ = false;
  bool may_segment_ = true;
};

}  // namespace microagent::netstack

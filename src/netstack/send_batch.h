#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "netstack/datagram_flow.h"

namespace microagent::netstack {

// The guest's datagrams to one host socket, sent by as few system calls as possible: messages of many datagrams of one
// size, cut up by the kernel (udp(7), UDP_SEGMENT), where the socket does that, and many messages a call.
class SendBatch {
 public:
  static constexpr std::size_t kMaxDatagrams = 64;  // also what UDP_SEGMENT takes at once

  std::uint64_t token = 0;  // whose datagrams they are

  bool empty() const { return next_ == count_; }
  // Whether the datagram may be added. One that an empty batch does not hold is held by none.
  bool fits(const HostDatagram& datagram) const;
  // The payload is not copied.
  void add(const HostDatagram& datagram);
  void clear() { count_ = next_ = piece_count_ = 0; }

  struct Outcome {
    std::size_t datagrams = 0, payload_bytes = 0;  // sent
    int error_number = 0;                          // of the next one, when none was sent
    bool segments = false;                         // it was a message of many
  };
  // Sends the next datagrams with one call.
  Outcome send(int fd, bool segment);
  // Gives up the next datagram, or all.
  void skip() { ++next_; }
  std::size_t left() const { return count_ - next_; }

 private:
  static constexpr std::size_t kMaxPieces = 1024;
  static constexpr std::size_t kMaxMessageBytes = 65'000;

  struct Datagram {
    std::size_t first_piece = 0, pieces = 0;
    std::size_t payload_bytes = 0;
    std::array<std::uint8_t, 8> head{};
  };
  struct Control {
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t))> bytes;
  };

  std::size_t run_from(std::size_t first) const;
  void make_message(std::size_t message, std::size_t first, std::size_t datagrams);

  std::size_t count_ = 0, next_ = 0, piece_count_ = 0;
  std::array<Datagram, kMaxDatagrams> datagrams_;
  std::array<iovec, kMaxPieces> pieces_;
  std::array<mmsghdr, kMaxDatagrams> messages_;
  std::array<std::size_t, kMaxDatagrams> held_;  // datagrams of each message
  std::array<Control, kMaxDatagrams> controls_;
};

}  // namespace microagent::netstack

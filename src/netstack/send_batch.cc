#include "netstack/send_batch.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace microagent::netstack {

bool SendBatch::fits(const HostDatagram& datagram) const {
  return count_ < kMaxDatagrams && piece_count_ + datagram.payload.size() < kMaxPieces;
}

void SendBatch::add(const HostDatagram& datagram) {
  MICROAGENT_CHECK(fits(datagram));
  Datagram& out = datagrams_[count_++];
  out.first_piece = piece_count_;
  out.payload_bytes = datagram.payload_bytes;
  out.head = datagram.head;
  if (datagram.head_bytes > 0) pieces_[piece_count_++] = iovec{out.head.data(), datagram.head_bytes};
  for (const iovec& piece : datagram.payload) pieces_[piece_count_++] = piece;
  out.pieces = piece_count_ - out.first_piece;
}

// How many datagrams from `first` on may go as segments of one message: all of one size but the last, which may be
// smaller, though not empty.
std::size_t SendBatch::run_from(std::size_t first) const {
  const std::size_t size = datagrams_[first].payload_bytes;
  std::size_t total = size, end = first + 1;
  while (end < count_ && datagrams_[end - 1].payload_bytes == size && datagrams_[end].payload_bytes > 0 &&
         datagrams_[end].payload_bytes <= size && total + datagrams_[end].payload_bytes <= kMaxMessageBytes) {
    total += datagrams_[end++].payload_bytes;
  }
  return end - first;
}

void SendBatch::make_message(std::size_t message, std::size_t first, std::size_t datagrams) {
  const Datagram &begin = datagrams_[first], &last = datagrams_[first + datagrams - 1];
  msghdr& header = messages_[message].msg_hdr;
  header = {};
  header.msg_iov = &pieces_[begin.first_piece];
  header.msg_iovlen = last.first_piece + last.pieces - begin.first_piece;
  held_[message] = datagrams;
  if (datagrams == 1) return;
  const auto size = static_cast<std::uint16_t>(begin.payload_bytes);
  Control& control = controls_[message];
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  cmsghdr* const segment = CMSG_FIRSTHDR(&header);
  segment->cmsg_level = SOL_UDP;
  segment->cmsg_type = UDP_SEGMENT;
  segment->cmsg_len = CMSG_LEN(sizeof size);
  std::memcpy(CMSG_DATA(segment), &size, sizeof size);
}

SendBatch::Outcome SendBatch::send(int fd, bool segment) {
  std::size_t messages = 0;
  for (std::size_t at = next_; at < count_; at += held_[messages++])
    make_message(messages, at, segment ? run_from(at) : 1);
  int sent = 0;
  do {
    sent = ::sendmmsg(fd, messages_.data(), static_cast<unsigned>(messages), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return {.error_number = errno, .segments = held_[0] > 1};
  Outcome outcome;
  for (int message = 0; message < sent; ++message) {
    for (std::size_t i = 0; i < held_[static_cast<std::size_t>(message)]; ++i) {
      outcome.payload_bytes += datagrams_[next_++].payload_bytes;
      ++outcome.datagrams;
    }
  }
  return outcome;
}

}  // namespace microagent::netstack

#include "init/netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/clock.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr std::size_t kMaxDatagram = 64 * 1024;

constexpr std::size_t padded(std::size_t length) { return (length + 3) & ~std::size_t{3}; }

}  // namespace

void NetlinkMessage::begin(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  append(bytes_of(header));
}

void NetlinkMessage::append(ByteView bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  bytes_.resize(padded(bytes_.size()));
}

void NetlinkMessage::add(std::uint16_t attribute, ByteView value) {
  const rtattr header{static_cast<std::uint16_t>(sizeof(rtattr) + value.size()), attribute};
  append(bytes_of(header));
  append(value);
}

void NetlinkMessage::add(std::uint16_t attribute, const wire::IpAddress& address) {
  add(attribute, ByteView(address.bytes).first(address.is_ipv4() ? 4 : 16));
}

ByteView NetlinkMessage::finish(std::uint32_t sequence, std::uint16_t more_flags) {
  nlmsghdr header{};
  std::memcpy(&header, bytes_.data(), sizeof header);
  header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
  header.nlmsg_seq = sequence;
  header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | more_flags);
  std::memcpy(bytes_.data(), &header, sizeof header);
  return bytes_;
}

void for_each_attribute(ByteView bytes, const std::function<void(std::uint16_t type, ByteView value)>& on_attribute) {
  Reader reader(bytes);
  rtattr header{};
  ByteView value;
  while (reader.read(header) && header.rta_len >= sizeof header) {
    const std::size_t length = header.rta_len - sizeof header;
    if (!reader.take(length, value)) return;
    on_attribute(header.rta_type & NLA_TYPE_MASK, value);
    if (!reader.skip(padded(length) - length)) return;
  }
}

Result<NetlinkSocket> NetlinkSocket::open(std::uint32_t groups) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return fail_errno(errno, "cannot open a netlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, "cannot bind a netlink socket");
  }
  return NetlinkSocket(std::move(fd));
}

Status NetlinkSocket::send(ByteView message) {
  if (::send(fd_.get(), message.data(), message.size(), 0) == static_cast<ssize_t>(message.size())) return {};
  return fail_errno(errno, "cannot ask the kernel over netlink");
}

Result<ByteView> NetlinkSocket::receive() {
  buffer_.resize(kMaxDatagram);
  for (;;) {
    const ssize_t count = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (count >= 0) return ByteView(buffer_).first(static_cast<std::size_t>(count));
    if (errno != EINTR) return fail_errno(errno, "cannot hear the kernel over netlink");
  }
}

Result<NetlinkSocket::Answer> NetlinkSocket::take(ByteView datagram, const OnMessage& on_message) const {
  Reader reader(datagram);
  nlmsghdr header{};
  ByteView body;
  while (reader.read(header) && header.nlmsg_len >= sizeof header) {
    const std::size_t length = header.nlmsg_len - sizeof header;
    if (!reader.take(length, body)) break;
    (void)reader.skip(padded(length) - length);
    if (header.nlmsg_seq != sequence_) continue;
    if (header.nlmsg_type == NLMSG_DONE) return Answer::done;
    if (header.nlmsg_type != NLMSG_ERROR) {
      on_message(header.nlmsg_type, body);
      continue;
    }
    int error = 0;
    if (!Reader(body).read(error)) break;
    if (error == 0) return Answer::done;
    return fail_errno(-error, "the kernel refuses");
  }
  return Answer::more;
}

Status NetlinkSocket::exchange(NetlinkMessage& message, std::uint16_t flags, const OnMessage& on_message) {
  if (Status sent = send(message.finish(++sequence_, flags)); !sent) return sent;
  for (;;) {
    const auto datagram = receive();
    if (!datagram) return fail(datagram.error());
    const auto answer = take(*datagram, on_message);
    if (!answer) return fail(answer.error());
    if (*answer == Answer::done) return {};
  }
}

Status NetlinkSocket::change(NetlinkMessage message, std::string_view what) {
  Status done = exchange(message, NLM_F_ACK, [](std::uint16_t, ByteView) {});
  if (!done) return fail(with_context(done.error(), concat("cannot ", what)));
  return {};
}

Status NetlinkSocket::dump(NetlinkMessage message, const OnMessage& on_message) {
  return exchange(message, NLM_F_DUMP, on_message);
}

bool NetlinkSocket::hear(std::uint64_t deadline_ns, const OnMessage& on_message) {
  const std::uint64_t now = monotonic_ns();
  if (now >= deadline_ns) return false;
  pollfd polled{fd_.get(), POLLIN, 0};
  const int ready = ::poll(&polled, 1, static_cast<int>((deadline_ns - now) / 1'000'000 + 1));
  if (ready < 0 && errno == EINTR) return true;
  if (ready <= 0) return false;
  const auto datagram = receive();
  if (!datagram) return false;
  // What the kernel tells by itself has the number 0.
  const std::uint32_t before = std::exchange(sequence_, 0);
  (void)take(*datagram, on_message);
  sequence_ = before;
  return true;
}

}  // namespace microagent::init

// Sockets: descriptors that travel, what a peer is, files of memory, locks.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/fd.h"

namespace microagent::platform {
namespace {

struct Pair {
  Fd one, two;
  explicit Pair(int type) {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()), 0);
    one.reset(ends[0]);
    two.reset(ends[1]);
  }
};

bool send_with_descriptor(const Fd& socket, std::string text, int descriptor) {
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// The flags of the message; `control_size` is the room for descriptors.
int receive_message(const Fd& socket, std::size_t room, std::size_t control_size) {
  std::string text(room, '\0');
  iovec part{text.data(), text.size()};
  std::string control(control_size, '\0');
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control_size != 0 ? control.data() : nullptr;
  message.msg_controllen = control_size;
  EXPECT_GE(::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC), 0);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    int descriptor = -1;
    std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    ::close(descriptor);
  }
  return message.msg_flags;
}

TEST(SeqPacket, KeepsPacketsApartAndTellsTheEnd) {
  Pair pair(SOCK_SEQPACKET);
  ASSERT_EQ(::send(pair.one.get(), "a", 1, 0), 1);
  ASSERT_EQ(::send(pair.one.get(), "bc", 2, 0), 2);
  std::array<char, 16> buffer{};
  EXPECT_EQ(::recv(pair.two.get(), buffer.data(), buffer.size(), 0), 1);
  EXPECT_EQ(::recv(pair.two.get(), buffer.data(), buffer.size(), 0), 2);
  pair.one.reset();
  EXPECT_EQ(::recv(pair.two.get(), buffer.data(), buffer.size(), 0), 0);
}

TEST(SeqPacket, TellsWhenAPacketOrItsDescriptorsWereCut) {
  Pair pair(SOCK_SEQPACKET);
  ASSERT_TRUE(send_with_descriptor(pair.one, "long enough", 0));
  EXPECT_NE(receive_message(pair.two, 4, CMSG_SPACE(sizeof(int))) & MSG_TRUNC, 0);
  ASSERT_TRUE(send_with_descriptor(pair.one, "x", 0));
  EXPECT_NE(receive_message(pair.two, 4, 0) & MSG_CTRUNC, 0) << "a descriptor without room is told, and closed";
}

TEST(UdpSocket, AClosedPortIsAnErrorOfTheConnectedSocket) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in nobody{};
  nobody.sin_family = AF_INET;
  nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  nobody.sin_port = htons(1);  // tcpmux: nobody's, these days
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&nobody), sizeof nobody), 0);
  ASSERT_EQ(::send(socket.get(), "x", 1, 0), 1);
  pollfd polled{socket.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&polled, 1, 1000), 1);
  char byte = 0;
  EXPECT_EQ(::recv(socket.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
}

TEST(TcpSocket, CanConnectToItselfOnTheLoopback) {
  // Why the mediator compares both ends of what it dialled.
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(socket.get(), generic, size), 0);
  ASSERT_EQ(::getsockname(socket.get(), generic, &size), 0);
  EXPECT_EQ(::connect(socket.get(), generic, size), 0);
}

TEST(MemoryFile, SealedAgainstShrinkingCannotBeCut) {
  const Fd file(::memfd_create("platform", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(file.get(), 8192), 0);
  EXPECT_EQ(::fcntl(file.get(), F_GET_SEALS) & F_SEAL_SHRINK, 0);
  ASSERT_EQ(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  EXPECT_EQ(::ftruncate(file.get(), 4096), -1);
  EXPECT_EQ(::ftruncate(file.get(), 16384), 0);
}

TEST(OpenFileLock, EndsWithTheDescriptionHoweverItsHolderEnds) {
  std::string path = "/tmp/platform.XXXXXX";
  const Fd file(::mkstemp(path.data()));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  const pid_t child = ::fork();
  if (child == 0) {
    const Fd own(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (::fcntl(own.get(), F_OFD_SETLK, &lock) != 0) ::_exit(1);
    ::kill(::getpid(), SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_EQ(::fcntl(file.get(), F_OFD_SETLK, &lock), -1);
  EXPECT_EQ(errno, EAGAIN);
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  EXPECT_EQ(::fcntl(file.get(), F_OFD_SETLK, &lock), 0);
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace microagent::platform

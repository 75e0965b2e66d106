#include "mediator/supervisor_link.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "flow/control.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::json;

std::string dump(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

Fd take_fd(msghdr& message) {
  Fd taken;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    if (control->cmsg_len != CMSG_LEN(sizeof(int))) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(control), sizeof fd);
    taken.reset(fd);
  }
  return taken;
}

// One packet and its descriptor; 0 at the end, -1 with errno where there is none.
ssize_t receive_packet(int socket, std::vector<std::uint8_t>& packet, Fd& fd) {
  iovec part{packet.data(), packet.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size >= 0) fd = take_fd(message);
  return size;
}

}  // namespace

void SupervisorLink::send(const Json& message) {
  const std::string text = dump(message);
  MICROAGENT_CHECK(text.size() <= flow::kMaxControlMessage);
  const int socket = socket_.native_handle();
  if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) ::shutdown(socket, SHUT_RDWR);
}

void SupervisorLink::answer(std::uint64_t id, const Result<Json>& result) {
  Json message = {{"type", "answer"}, {"id", id}};
  const auto refuse = [&](const Error& error) {
    message["error"] = {
        {"kind", to_string(error.kind)}, {"message", error.message}, {"remediation", error.remediation}};
  };
  if (result) {
    message["result"] = *result;
  } else {
    refuse(result.error());
  }
  if (dump(message).size() > flow::kMaxControlMessage) {
    message.erase("result");
    refuse({ErrorKind::resource_exhausted, "the answer is too long for a message", "ask for less"});
  }
  send(message);
}

asio::awaitable<std::string> SupervisorLink::receive(OnMessage on_message) {
  std::vector<std::uint8_t> packet(flow::kMaxControlMessage);
  for (;;) {
    Fd fd;
    const ssize_t size = receive_packet(socket_.native_handle(), packet, fd);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (co_await wait_readable(socket_, kNever) != Wait::ready) co_return "the supervisor's socket failed";
      continue;
    }
    if (size <= 0) co_return "the supervisor is gone";
    const auto message = Json::parse(packet.begin(), packet.begin() + size, nullptr, false);
    if (!message.is_object()) co_return "the supervisor sent what is no message";
    on_message(message, std::move(fd));
  }
}

}  // namespace microagent::mediator

#include "mediator/supervisor_link.h"

#include <sys/socket.h>

#include <vector>

#include "base/check.h"
#include "flow/control.h"

namespace microagent::mediator {

void SupervisorLink::send(const nlohmann::json& message) {
  const std::string text = message.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  MICROAGENT_CHECK(text.size() <= flow::kMaxControlMessage);
  const int socket = socket_.native_handle();
  if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) ::shutdown(socket, SHUT_RDWR);
}

asio::awaitable<std::string> SupervisorLink::receive(std::function<void(const nlohmann::json&)> on_message) {
  std::vector<std::uint8_t> packet(flow::kMaxControlMessage);
  for (;;) {
    const std::size_t size = co_await read_some(socket_, packet, kNever);
    if (size == 0) co_return "the supervisor is gone";
    const auto message =
        nlohmann::json::parse(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size), nullptr, false);
    if (!message.is_object()) co_return "the supervisor sent what is no message";
    on_message(message);
  }
}

}  // namespace microagent::mediator

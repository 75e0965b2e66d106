#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "mediator/io.h"

namespace microagent::mediator {

// The conversation with the supervisor (flow/control.h).
class SupervisorLink {
 public:
  explicit SupervisorLink(Descriptor socket) : socket_(std::move(socket)) {}

  // The messages are few and the supervisor always reads: one that cannot be sent at once ends the connection.
  void send(const nlohmann::json& message);
  // To a request that had this id. A result too long for a message becomes an error.
  void answer(std::uint64_t id, const Result<nlohmann::json>& result);

  // Hands every message to `on_message`, with the descriptor that came along, if any; returns why the connection ended.
  using OnMessage = std::function<void(const nlohmann::json&, Fd)>;
  asio::awaitable<std::string> receive(OnMessage on_message);

 private:
  Descriptor socket_;
};

}  // namespace microagent::mediator

#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "mediator/io.h"

namespace microagent::mediator {

// The lifecycle conversation with the supervisor (flow/control.h).
class SupervisorLink {
 public:
  explicit SupervisorLink(Descriptor socket) : socket_(std::move(socket)) {}

  // The messages are few and the supervisor always reads: one that cannot be sent at once ends the connection.
  void send(const nlohmann::json& message);

  // Hands every message to `on_message`; returns why the connection ended.
  asio::awaitable<std::string> receive(std::function<void(const nlohmann::json&)> on_message);

 private:
  Descriptor socket_;
};

}  // namespace microagent::mediator

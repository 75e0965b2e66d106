#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "mediator/agent_protocol.h"
#include "mediator/io.h"
#include "mediator/log_limit.h"

namespace microagent::mediator {

// Our end of the guest agent's stream: one stream at a time, its messages passed on, a shutdown sent. Every guest is
// told whom to trust as soon as it has said hello, if only that there is nobody. Must outlive its event loop's run.
class GuestAgent {
 public:
  using Report = std::function<void(const nlohmann::json&)>;

  GuestAgent(asio::any_io_executor executor, bool isolated, Report report);

  // A new stream; the guest's end of it for netd. Kind conflict while one lives.
  Result<Fd> accept();

  // Whom the guest has to trust from now on.
  void trust(wire::Trust trust);

  // Asks the guest for a clean end within that time: now, or as soon as it has said hello.
  void shutdown(std::chrono::milliseconds patience);

 private:
  asio::awaitable<void> converse();
  asio::awaitable<bool> take_frames(Deadline deadline);
  void send(wire::FrameType type, ByteView payload, std::string_view what);
  void send_trust();
  void send_shutdown();

  asio::any_io_executor executor_;
  Report report_;
  AgentProtocol protocol_;
  wire::Trust trust_;
  std::optional<Descriptor> stream_;
  std::optional<Deadline> shutdown_;  // once it is wanted: when the guest is switched off
  LogLimit warnings_;
};

}  // namespace microagent::mediator

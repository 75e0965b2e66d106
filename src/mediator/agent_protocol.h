#pragma once

// What the guest's init may say on its agent stream (wire/agent.h), checked: hello first, then ready, failed and
// workload_exited, each at most once however often it connects, and result_ready and trusted as often as it likes. The
// guest is hostile; only what is composed here reaches the supervisor.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "wire/agent.h"

namespace microagent::mediator {

class AgentProtocol {
 public:
  explicit AgentProtocol(bool isolated) : isolated_(isolated) {}

  // A new stream: hello is wanted again.
  void start_stream();

  // Takes what arrived; gives the messages for the supervisor (flow/control.h), or how the guest broke the protocol.
  tl::expected<std::vector<nlohmann::json>, std::string> feed(ByteView bytes);

  bool greeted() const { return greeted_; }

  // The message that tells the supervisor of a violation; nothing when it has been told of a failure before.
  std::optional<nlohmann::json> report_violation(const std::string& how);

 private:
  using Outcome = tl::expected<std::vector<nlohmann::json>, std::string>;
  Outcome on_frame(const wire::FrameReader::Frame& frame);
  Outcome on_ready(ByteView payload);

  static nlohmann::json failure(const std::string& error);

  wire::FrameReader reader_;
  bool isolated_;
  bool greeted_ = false;
  bool ready_ = false, failed_ = false, exited_ = false;
};

// `text` cut to 512 bytes, everything but printable ASCII replaced by '?'.
std::string printable(ByteView text);

}  // namespace microagent::mediator

#include "mediator/agent_protocol.h"

#include <utility>

#include "wire/guest_config.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kMaxText = 512;

using Json = nlohmann::json;

std::string_view text_of(ByteView payload) { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }

Json network_of(const wire::GuestFacts& facts) {
  return {{"ip", facts.ip},
          {"subnet", facts.subnet},
          {"gateway", facts.gateway},
          {"dns", facts.dns},
          {"routes", facts.routes}};
}

Json stages_of(const wire::GuestFacts& facts) {
  Json stages = Json::array();
  for (const wire::BootStage& stage : facts.stages) {
    stages.push_back({{"name", stage.name}, {"microseconds", stage.microseconds}});
  }
  return stages;
}

std::vector<Json> one(Json message) {
  std::vector<Json> messages;
  messages.push_back(std::move(message));
  return messages;
}

}  // namespace

std::string printable(ByteView text) {
  std::string clean;
  for (const std::uint8_t byte : text.first(std::min(text.size(), kMaxText))) {
    clean.push_back(byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '?');
  }
  return clean;
}

void AgentProtocol::start_stream() {
  reader_ = {};
  greeted_ = false;
}

std::optional<Json> AgentProtocol::report_violation(const std::string& how) {
  if (std::exchange(failed_, true)) return std::nullopt;
  return failure("the guest agent broke the protocol: " + how);
}

Json AgentProtocol::failure(const std::string& error) { return {{"type", "guest_failed"}, {"error", error}}; }

AgentProtocol::Outcome AgentProtocol::feed(ByteView bytes) {
  reader_.feed(bytes);
  std::vector<Json> messages;
  while (const auto frame = reader_.next()) {
    auto outcome = on_frame(*frame);
    if (!outcome) return outcome;
    for (Json& message : *outcome) messages.push_back(std::move(message));
  }
  if (reader_.broken()) return tl::unexpected<std::string>("not a frame");
  return messages;
}

AgentProtocol::Outcome AgentProtocol::on_frame(const wire::FrameReader::Frame& frame) {
  const ByteView payload(frame.payload);
  if (!greeted_) {
    le32 version;
    Reader reader(payload);
    if (frame.type != wire::FrameType::hello) return tl::unexpected<std::string>("spoke before its hello");
    if (!reader.read(version) || reader.left() != 0) return tl::unexpected<std::string>("a malformed hello");
    if (version != wire::kAgentVersion) return tl::unexpected<std::string>("speaks another version");
    greeted_ = true;
    return {};
  }
  switch (frame.type) {
    case wire::FrameType::ready: return on_ready(payload);
    case wire::FrameType::failed:
      if (std::exchange(failed_, true)) return tl::unexpected<std::string>("failed twice");
      return one(failure(printable(payload)));
    case wire::FrameType::workload_exited: {
      const auto status = wire::parse_exit_status(payload);
      if (!status) return tl::unexpected<std::string>("a malformed exit status");
      if (std::exchange(exited_, true)) return tl::unexpected<std::string>("its workload exited twice");
      const std::uint32_t code = status->code, signal = status->signal;
      return one({{"type", "workload_exited"}, {"code", code}, {"signal", signal}});
    }
    case wire::FrameType::trusted:
      return one({{"type", "trust"}, {"ready", payload.empty()}, {"error", printable(payload)}});
    case wire::FrameType::result_ready: return one({{"type", "result_ready"}});
    default: return tl::unexpected<std::string>("a frame that is not the guest's to send");
  }
}

AgentProtocol::Outcome AgentProtocol::on_ready(ByteView payload) {
  if (std::exchange(ready_, true)) return tl::unexpected<std::string>("ready twice");
  Json message = Json::object();
  message["type"] = "guest_ready";
  const auto facts = wire::parse_guest_facts(text_of(payload));
  if (!facts) return tl::unexpected<std::string>("malformed facts");
  if (!isolated_) message["network"] = network_of(*facts);
  if (!facts->stages.empty()) message["stages"] = stages_of(*facts);
  return one(std::move(message));
}

}  // namespace microagent::mediator

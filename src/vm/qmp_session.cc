#include "vm/qmp_session.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"

namespace microagent::vm {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLine = 256 * 1024;

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<QmpEvent> event_of(const Json& message) {
  const std::string name = text_of(message, "event");
  const Json data = message.value("data", Json::object());
  QmpEvent event;
  if (name == "SHUTDOWN") {
    const auto guest = data.find("guest");
    event.kind = QmpEvent::Kind::shutdown;
    event.by_guest = guest != data.end() && guest->is_boolean() && guest->get<bool>();
    event.reason = text_of(data, "reason");
    return event;
  }
  if (name == "BLOCK_IO_ERROR") {
    event.kind = QmpEvent::Kind::disk_error;
    event.reason = text_of(data, "reason");
    return event;
  }
  if (name != "GUEST_PANICKED") return std::nullopt;
  event.kind = QmpEvent::Kind::guest_panicked;
  event.by_guest = true;
  return event;
}

}  // namespace

Result<std::vector<QmpEvent>> QmpSession::feed(std::string_view bytes) {
  std::vector<QmpEvent> events;
  partial_.append(bytes);
  std::size_t begin = 0;
  for (std::size_t end; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    auto event = on_line(std::string_view(partial_).substr(begin, end - begin));
    if (!event) return fail(event.error());
    if (*event) events.push_back(std::move(**event));
  }
  partial_.erase(0, begin);
  if (partial_.size() <= kMaxLine) return events;
  phase_ = Phase::broken;
  return fail(ErrorKind::permanent, "QEMU's monitor sent a line without end");
}

Result<std::optional<QmpEvent>> QmpSession::on_line(std::string_view line) {
  if (phase_ == Phase::broken) return fail(ErrorKind::permanent, "QEMU's monitor has failed before");
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return std::nullopt;
  const Json message = Json::parse(line, nullptr, false);
  if (!message.is_object()) {
    phase_ = Phase::broken;
    return fail(ErrorKind::permanent, "QEMU's monitor sent what is no QMP message");
  }
  if (message.contains("event")) return event_of(message);
  if (message.contains("QMP") && phase_ == Phase::greeting) {
    phase_ = Phase::negotiating;
    output_ += "{\"execute\":\"qmp_capabilities\"}\n";
    return std::nullopt;
  }
  if (message.contains("return") || message.contains("error")) return on_answer(message);
  return std::nullopt;
}

std::optional<QmpEvent> QmpSession::on_answer(const Json& message) {
  QmpEvent event;
  event.succeeded = message.contains("return");
  if (!event.succeeded && message.at("error").is_object()) event.reason = text_of(message.at("error"), "desc");
  const bool handshake = std::exchange(phase_, Phase::ready) == Phase::negotiating;
  event.kind = handshake ? QmpEvent::Kind::ready : QmpEvent::Kind::answer;
  return event;
}

void QmpSession::execute(std::string_view command) {
  MICROAGENT_CHECK(phase_ == Phase::ready);
  output_ += fmt::format("{{\"execute\":\"{}\"}}\n", command);
}

std::string QmpSession::take_output() { return std::exchange(output_, {}); }

}  // namespace microagent::vm

#include "supervisor/mediator_link.h"

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "flow/control.h"
#include "supervisor/report.h"

namespace microagent::supervisor {
namespace {

using Json = nlohmann::json;

constexpr std::chrono::seconds kAnswerPatience{20};
constexpr int kSignalBase = 128;  // what a shell adds to the signal that ended a command

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> texts_of(const Json& object, const char* key) {
  std::vector<std::string> texts;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return texts;
  for (const Json& item : *found) {
    if (item.is_string()) texts.push_back(item.get<std::string>());
  }
  return texts;
}

int number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int>() : 0;
}

workspace::EffectiveNetwork network_of(const Json& object) {
  // Routes are declared for IPv4 alone, so those are told; of IPv6 a guest has its default route and no other.
  auto routes = texts_of(object, "routes");
  std::erase_if(routes, [](const std::string& route) { return route.find(':') != std::string::npos; });
  return {text_of(object, "ip"), text_of(object, "subnet"), text_of(object, "gateway"), texts_of(object, "dns"),
          std::move(routes)};
}

std::vector<workspace::BootStage> stages_of(const Json& message) {
  std::vector<workspace::BootStage> stages;
  const auto found = message.find("stages");
  if (found == message.end() || !found->is_array()) return stages;
  for (const Json& item : *found) {
    if (!item.is_object()) continue;
    const auto taken = item.find("microseconds");
    if (taken == item.end() || !taken->is_number_unsigned()) continue;
    stages.push_back({text_of(item, "name"), taken->get<std::uint64_t>()});
  }
  return stages;
}

}  // namespace

bool apply_control_message(const Json& message, GuestFacts& facts) {
  const std::string type = text_of(message, "type");
  if (type == "guest_ready") {
    facts.ready = true;
    if (const auto network = message.find("network"); network != message.end()) facts.network = network_of(*network);
    facts.stages = stages_of(message);
    return true;
  }
  if (type == "guest_failed") {
    facts.failure = text_of(message, "error");
    return true;
  }
  if (type == "workload_exited") {
    const int signal = number_of(message, "signal");
    facts.exit_code = signal != 0 ? kSignalBase + signal : number_of(message, "code");
    return true;
  }
  if (type == "result_ready") {
    const auto bytes = message.find("bytes");
    const bool counted = bytes != message.end() && bytes->is_number_unsigned();
    facts.result_error = text_of(message, "error");
    if (counted && facts.result_error.empty()) facts.result_bytes = bytes->get<std::uint64_t>();
    return true;
  }
  if (type == "mediation" || type == "trust") {
    const auto ready = message.find("ready");
    const bool is_ready = ready != message.end() && ready->is_boolean() && ready->get<bool>();
    (type == "trust" ? facts.trust : facts.mediation) = {is_ready, text_of(message, "error")};
    return true;
  }
  return false;
}

Result<std::unique_ptr<MediatorLink>> MediatorLink::open(const asio::any_io_executor& executor, Fd socket,
                                                         Changes& changes) {
  auto watched = watch(executor, std::move(socket));
  if (!watched) return fail(watched.error());
  std::unique_ptr<MediatorLink> link(new MediatorLink(std::move(*watched), changes));
  spawn(executor, link->receive());
  return link;
}

bool MediatorLink::ask_for_shutdown(std::chrono::milliseconds patience) {
  return send({{"type", "shutdown"}, {"patienceMs", patience.count()}}, {});
}

asio::awaitable<Result<Json>> MediatorLink::request(Json request, Fd passed) {
  const std::uint64_t id = ++last_request_;
  request["type"] = "request";
  request["id"] = id;
  if (fault_ || !send(request, passed)) co_return fail(ErrorKind::transient, "the mediator does not take the request");
  answers_.emplace(id, std::nullopt);
  co_await changes_.until([&] { return fault_ || answers_.at(id); }, in(kAnswerPatience));
  auto answer = std::move(answers_.extract(id).mapped());
  if (answer) co_return std::move(*answer);
  co_return fail(ErrorKind::transient, fault_ ? "the mediator has ended" : "the mediator does not answer");
}

bool MediatorLink::send(const Json& message, const Fd& passed) {
  std::string text = message.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > flow::kMaxControlMessage) return false;
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  if (passed) {
    packet.msg_control = control.data();
    packet.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&packet);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = passed.get();
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  return ::sendmsg(socket_.native_handle(), &packet, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

// An answer that nobody waits for any more came too late.
void MediatorLink::on_answer(const Json& message) {
  const auto id = message.find("id");
  if (id == message.end() || !id->is_number_unsigned()) return;
  const auto waiting = answers_.find(id->get<std::uint64_t>());
  if (waiting == answers_.end()) return;
  if (const auto error = message.find("error"); error != message.end()) {
    waiting->second = Result<Json>(fail(error_from_json(*error)));
  } else {
    waiting->second = Result<Json>(message.value("result", Json()));
  }
}

void MediatorLink::close() { ::shutdown(socket_.native_handle(), SHUT_RDWR); }

asio::awaitable<void> MediatorLink::receive() {
  std::vector<std::uint8_t> packet(flow::kMaxControlMessage);
  while (!fault_) {
    const std::size_t size = co_await read_some(socket_, packet, kNever);
    if (size == 0) {
      fault_ = "it hung up";
    } else if (!on_packet(ByteView(packet).first(size))) {
      fault_ = "it sent what is no message";
    }
    changes_.notify();
  }
}

bool MediatorLink::on_packet(ByteView packet) {
  const Json message = Json::parse(packet.begin(), packet.end(), nullptr, false);
  if (!message.is_object()) return false;
  if (text_of(message, "type") == "ready") {
    ready_ = true;
    return true;
  }
  if (text_of(message, "type") == "answer") {
    on_answer(message);
    return true;
  }
  ++revision_;
  return apply_control_message(message, facts_);
}

}  // namespace microagent::supervisor

#include "credentials/protocol.h"

#include <algorithm>
#include <cstring>

namespace microagent::credentials {

Secret encode_answer(std::uint32_t swap, const Result<Credential>& credential) {
  AnswerHead head{swap, 0, 0, 0};
  std::string_view content;
  if (credential) {
    head.version = credential->version;
    head.fresh_ms = static_cast<std::uint64_t>(credential->fresh.count());
    content = credential->secret->view();
  } else {
    head.failed = 1;
    content = std::string_view(credential.error().message).substr(0, kMaxErrorWords);
  }
  Secret packet(sizeof head + content.size());
  std::memcpy(packet.bytes().data(), &head, sizeof head);
  std::ranges::copy(content, packet.bytes().begin() + sizeof head);
  return packet;
}

std::optional<Answer> parse_answer(ByteView packet) {
  AnswerHead head;
  if (packet.size() < sizeof head || packet.size() > kMaxAnswer) return std::nullopt;
  std::memcpy(&head, packet.data(), sizeof head);
  const std::string_view content(reinterpret_cast<const char*>(packet.data()) + sizeof head,
                                 packet.size() - sizeof head);
  if (head.failed != 0) return Answer{head.swap, fail(ErrorKind::transient, std::string(content))};
  constexpr std::uint64_t kLongest = std::uint64_t{1000} * 3600 * 24 * 400;
  if (content.empty() || head.version == 0) return std::nullopt;
  return Answer{head.swap, Credential{std::make_shared<const Secret>(Secret::of(content)), head.version,
                                      std::chrono::milliseconds(std::min(head.fresh_ms, kLongest))}};
}

std::optional<Ask> parse_ask(ByteView packet) {
  Ask ask;
  if (packet.size() != sizeof ask) return std::nullopt;
  std::memcpy(&ask, packet.data(), sizeof ask);
  return ask;
}

}  // namespace microagent::credentials

#include "mediator/masked_stream.h"

#include <algorithm>
#include <utility>

namespace microagent::mediator {

bool MaskedStream::feed(ByteView bytes, bool last, std::vector<std::uint8_t>& out) {
  const std::size_t begin = out.size();
  unconsumed_ += bytes.size();
  if (auto* websocket = std::get_if<http::WebSocketMask>(&mask_)) websocket->feed(bytes, out);
  else feed_body(std::get<http::EchoMask>(mask_), bytes, last, out);
  unread_ += out.size() - begin;
  return !is_broken();
}

void MaskedStream::feed_body(http::EchoMask& mask, ByteView bytes, bool last, std::vector<std::uint8_t>& out) {
  const std::size_t begin = out.size();
  while (!is_broken()) {
    const std::size_t before = out.size(), taken = mask.feed(bytes, out);
    bytes = bytes.subspan(taken);
    too_far_ = mask.decodes() && unread_ + out.size() - begin > kMaxAhead;
    if (taken == 0 && out.size() == before) break;
  }
  if (last && !is_broken()) mask.finish(out);
}

bool MaskedStream::is_broken() const {
  if (const auto* mask = body()) return too_far_ || mask->fault() != http::EchoMask::Fault::none;
  return std::get<http::WebSocketMask>(mask_).fault() != http::WebSocketMask::Fault::none;
}

std::string_view MaskedStream::error() const {
  if (too_far_) return "a response that sent the credential back grows faster than it is read";
  return std::visit([](const auto& mask) { return mask.fault_text(); }, mask_);
}

std::size_t MaskedStream::consumed(std::size_t sent) {
  if (body() != nullptr && !decodes()) return sent;
  unread_ -= std::min(unread_, sent);
  return unread_ == 0 ? std::exchange(unconsumed_, 0) : 0;
}

}  // namespace microagent::mediator

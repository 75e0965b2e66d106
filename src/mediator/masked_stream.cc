#include "mediator/masked_stream.h"

#include <algorithm>
#include <utility>

namespace microagent::mediator {

bool MaskedStream::feed(ByteView bytes, bool last, std::vector<std::uint8_t>& out) {
  const std::size_t begin = out.size();
  unconsumed_ += bytes.size();
  while (!is_broken()) {
    const std::size_t before = out.size(), taken = mask_.feed(bytes, out);
    bytes = bytes.subspan(taken);
    too_far_ = decodes() && unread_ + out.size() - begin > kMaxAhead;
    if (taken == 0 && out.size() == before) break;
  }
  if (last && !is_broken()) mask_.finish(out);
  unread_ += out.size() - begin;
  return !is_broken();
}

std::string_view MaskedStream::error() const {
  return too_far_ ? "a response that sent the credential back grows faster than it is read" : mask_.fault_text();
}

std::size_t MaskedStream::consumed(std::size_t sent) {
  if (!decodes()) return sent;
  unread_ -= std::min(unread_, sent);
  return unread_ == 0 ? std::exchange(unconsumed_, 0) : 0;
}

}  // namespace microagent::mediator

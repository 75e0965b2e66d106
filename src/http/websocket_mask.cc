#include "http/websocket_mask.h"

#include <algorithm>
#include <utility>

namespace microagent::http {
namespace {

// RFC 6455, 5.2.
constexpr std::uint8_t kFinal = 0x80, kReserved = 0x70, kOpcode = 0x0f;
constexpr std::uint8_t kMasked = 0x80, kLength = 0x7f;
constexpr std::uint8_t kLength16 = 126, kLength64 = 127;
constexpr std::uint64_t kMaxControl = 125;
// What is held back of a message is added to the length of its last frame, which has 63 bits.
constexpr std::uint64_t kMaxLength = std::uint64_t{1} << 62;

enum Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

bool is_known(std::uint8_t opcode) { return opcode <= binary || (opcode >= close && opcode <= pong); }

void put_frame_header(bool final, std::uint8_t opcode, std::uint64_t length, std::vector<std::uint8_t>& out) {
  out.push_back(static_cast<std::uint8_t>((final ? kFinal : 0) | opcode));
  unsigned size = 0;
  if (length < kLength16) out.push_back(static_cast<std::uint8_t>(length));
  else if (length <= 0xffff) out.push_back(kLength16), size = 2;
  else out.push_back(kLength64), size = 8;
  while (size-- > 0) out.push_back(static_cast<std::uint8_t>(length >> (8 * size)));
}

}  // namespace

void WebSocketMask::feed(ByteView in, std::vector<std::uint8_t>& out) {
  while (!in.empty() && fault_ == Fault::none) {
    in = in.subspan(in_frame_ ? feed_payload(in, out) : feed_header(in, out));
  }
}

std::size_t WebSocketMask::feed_header(ByteView in, std::vector<std::uint8_t>& out) {
  std::size_t taken = 0;
  while (taken < in.size() && header_came_ < header_size()) header_[header_came_++] = in[taken++];
  if (header_came_ < header_size()) return taken;
  begin_frame({(header_[0] & kFinal) != 0, static_cast<std::uint8_t>(header_[0] & kOpcode), payload_length()}, out);
  return taken;
}

std::size_t WebSocketMask::header_size() const {
  if (header_came_ < 2) return 2;
  const std::uint8_t length = header_[1] & kLength;
  return length == kLength64 ? 10 : length == kLength16 ? 4 : 2;
}

std::uint64_t WebSocketMask::payload_length() const {
  if (header_size() == 2) return header_[1] & kLength;
  std::uint64_t length = 0;
  for (std::size_t i = 2; i < header_size(); ++i) length = length << 8 | header_[i];
  return length;
}

WebSocketMask::Fault WebSocketMask::check(const Frame& frame) const {
  if ((header_[0] & kReserved) != 0) return Fault::extension;
  if ((header_[1] & kMasked) != 0 || !is_known(frame.opcode) || frame.left > kMaxLength) return Fault::malformed;
  if (frame.is_control()) return frame.final && frame.left <= kMaxControl ? Fault::none : Fault::malformed;
  return (frame.opcode == continuation) == message_open_ ? Fault::none : Fault::malformed;
}

void WebSocketMask::begin_frame(const Frame& frame, std::vector<std::uint8_t>& out) {
  fault_ = check(frame);
  if (fault_ != Fault::none) return;
  frame_ = frame;
  in_frame_ = true;
  header_came_ = 0;
  if (!frame.is_control() && !std::exchange(message_open_, true)) next_opcode_ = frame.opcode;
  if (!frame.is_control() && frame.final) put_header(true, frame.left + message_.held_back(), out);
  if (frame.left == 0) end_frame(out);
}

std::size_t WebSocketMask::feed_payload(ByteView in, std::vector<std::uint8_t>& out) {
  const ByteView payload = in.first(static_cast<std::size_t>(std::min<std::uint64_t>(frame_.left, in.size())));
  frame_.left -= payload.size();
  if (frame_.is_control()) control_.append(payload.begin(), payload.end());
  else if (frame_.final) message_.feed(payload, out);
  else pass_fragment(payload, out);
  if (frame_.left == 0) end_frame(out);
  return payload.size();
}

// In frames of its own, since nobody knows yet how much of the peer's will be held back.
void WebSocketMask::pass_fragment(ByteView payload, std::vector<std::uint8_t>& out) {
  fragment_.clear();
  message_.feed(payload, fragment_);
  if (fragment_.empty()) return;
  put_header(false, fragment_.size(), out);
  out.insert(out.end(), fragment_.begin(), fragment_.end());
}

void WebSocketMask::end_frame(std::vector<std::uint8_t>& out) {
  in_frame_ = false;
  if (frame_.is_control()) {
    const std::string words = mask_secrets(forms_, std::exchange(control_, {}));
    put_frame_header(true, frame_.opcode, words.size(), out);
    out.insert(out.end(), words.begin(), words.end());
  } else if (frame_.final) {
    message_.finish(out);
    message_open_ = false;
  }
}

void WebSocketMask::put_header(bool final, std::uint64_t length, std::vector<std::uint8_t>& out) {
  put_frame_header(final, std::exchange(next_opcode_, continuation), length, out);
}

std::string_view WebSocketMask::fault_text() const {
  switch (fault_) {
    case Fault::none: return "nothing wrong";
    case Fault::extension: return "the WebSocket's server used an extension that it was not asked for";
    case Fault::malformed: return "the WebSocket's server sent a frame that nobody can read";
  }
  return "unknown";
}

}  // namespace microagent::http

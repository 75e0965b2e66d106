#include "mediator/upstream_connection.h"

#include <array>

#include "base/clock.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kPiece = 4096;
constexpr std::size_t kMostUnasked = 16 * kPiece;  // more than that is no matter of a connection at rest

// What was said meanwhile; false where the connection will not do any more.
bool hear(TlsStream& stream, http::Http2Session& session) {
  std::array<std::uint8_t, kPiece> piece;
  for (std::size_t heard = 0; heard < kMostUnasked;) {
    const auto arrival = stream.take_unasked(piece);
    if (!arrival) return true;
    if (arrival->bytes == 0 || !session.feed(ByteView(piece).first(arrival->bytes), monotonic_ns())) return false;
    heard += arrival->bytes;
  }
  return false;
}

}  // namespace

bool UpstreamConnection::is_ready() {
  if (!stream) return false;
  if (!http2) return stream->is_quiet();
  return hear(*stream, *http2) && http2->open_streams() == 0 && http2->may_open();
}

}  // namespace microagent::mediator

#include "mediator/upstream_connection.h"

#include <array>
#include <vector>

#include "base/clock.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kPiece = 4096;

// What was said meanwhile; false where the connection will not do any more.
bool hear(TlsStream& stream, http::Http2Session& session, std::size_t& heard) {
  std::array<std::uint8_t, kPiece> piece;
  while (heard < UpstreamConnection::kMostUnasked) {
    const auto arrival = stream.take_unasked(piece);
    if (!arrival) return true;
    if (arrival->bytes == 0 || !session.feed(ByteView(piece).first(arrival->bytes), monotonic_ns())) return false;
    heard += arrival->bytes;
  }
  return false;
}

// Answers to pings and settings, a few bytes each: an upstream that has no room for them will not do either.
bool say(TlsStream& stream, http::Http2Session& session) {
  std::vector<std::uint8_t> output;
  return session.take_output(output) == 0 || stream.write_at_once(output);
}

}  // namespace

bool UpstreamConnection::is_ready() {
  if (!stream) return false;
  if (!http2) return stream->is_quiet();
  const bool is_heard = hear(*stream, *http2, heard);
  return is_heard && http2->open_streams() == 0 && http2->may_open() && say(*stream, *http2);
}

void UpstreamConnection::part() {
  if (!stream) return;
  if (http2) http2->terminate(http::Http2Error::no_error);
  if (!http2 || say(*stream, *http2)) stream->finish_at_once();
  stream.reset();
  http2.reset();
}

}  // namespace microagent::mediator

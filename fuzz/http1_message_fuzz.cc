// A connection's bytes as requests, and as the responses to one: heads, bodies and what follows. What is found must not
// depend on the pieces, and what is passed on must be read again as the same.

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "http/body_reader.h"
#include "http/head_reader.h"

namespace microagent::http {
namespace {

constexpr std::size_t kMostMessages = 16;

// All that a connection was read as.
struct Transcript {
  std::string text;
  std::size_t taken = 0;
};

void note(Transcript& out, const HeadReader& reader) {
  out.text += "fault " + std::string(to_string(reader.fault())) + "\n";
}

// False when the connection cannot go on.
bool take_body(Transcript& out, Framing framing, ByteView input, std::size_t piece) {
  BodyReader body(framing);
  std::size_t payload = 0;
  while (out.taken < input.size() && !body.done()) {
    const ByteView part = input.subspan(out.taken, std::min(piece, input.size() - out.taken));
    const BodyReader::Piece run = body.next(part);
    if (run.size == 0) break;
    MICROAGENT_CHECK(run.size <= part.size());
    out.taken += run.size;
    if (run.payload) payload += run.size;
  }
  MICROAGENT_CHECK(payload == body.payload_bytes());
  MICROAGENT_CHECK(body.done() || body.fault() != BodyFault::none || out.taken == input.size());
  MICROAGENT_CHECK(body.trailers().size() <= kMaxTrailerLines);
  out.text += "body " + std::to_string(payload) + " " + std::string(to_string(body.fault())) + "\n";
  for (const Header& trailer : body.trailers()) out.text += trailer.name + "=" + trailer.value + "\n";
  return body.done() && framing.kind != Framing::Kind::tunnel;
}

template <typename Reader>
bool take_head(Transcript& out, Reader& reader, ByteView input, std::size_t piece) {
  while (out.taken < input.size() && reader.state() == HeadReader::State::incomplete) {
    const std::size_t size = std::min(piece, input.size() - out.taken);
    const std::size_t taken = reader.feed(input.subspan(out.taken, size));
    MICROAGENT_CHECK(taken == size || reader.state() != HeadReader::State::incomplete);
    out.taken += taken;
  }
  note(out, reader);
  if (reader.state() == HeadReader::State::failed) out.taken = 0;  // where it was found wrong means nothing
  return reader.state() == HeadReader::State::complete;
}

// Written out and read again, a message is the same.
template <typename Reader, typename Message>
void check_round_trip(Reader again, const Message& message) {
  const std::string head = encode_head(message);
  // White space may have grown by one for each header.
  if (head.size() > kMaxMessageHead) return;
  const auto* data = reinterpret_cast<const std::uint8_t*>(head.data());
  MICROAGENT_CHECK(again->feed({data, head.size()}) == head.size());
  MICROAGENT_CHECK(again->state() == HeadReader::State::complete);
  MICROAGENT_CHECK(again->message().headers == message.headers && encode_head(again->message()) == head);
}

Transcript read_requests(ByteView input, std::size_t piece) {
  Transcript out;
  RequestReader reader(Scheme::https);
  for (std::size_t i = 0; i < kMostMessages && take_head(out, reader, input, piece); ++i) {
    const RequestMessage message = reader.take();
    RequestReader again(Scheme::https);
    check_round_trip(&again, message);
    out.text += encode_head(message) + message.path + "\n";
    if (!take_body(out, request_framing(message), input, piece)) break;
  }
  return out;
}

Transcript read_responses(ByteView input, std::size_t piece, bool head) {
  Transcript out;
  RequestMessage request;
  request.method = head ? "HEAD" : "GET";
  request.headers = {{"Connection", "upgrade"}, {"Upgrade", "websocket"}};
  ResponseReader reader;
  for (std::size_t i = 0; i < kMostMessages && take_head(out, reader, input, piece); ++i) {
    const ResponseMessage message = reader.take();
    ResponseReader again;
    check_round_trip(&again, message);
    out.text += encode_head(message) + std::string(to_string(check_response(request, message))) + "\n";
    const Framing framing = response_framing(request, message);
    const bool open_end = framing.kind == Framing::Kind::tunnel || framing.kind == Framing::Kind::until_close;
    MICROAGENT_CHECK(!(keeps_alive(request, message) && open_end));
    if (!take_body(out, framing, input, piece)) break;
  }
  return out;
}

void compare(const Transcript& whole, const Transcript& pieces) {
  MICROAGENT_CHECK(whole.text == pieces.text && whole.taken == pieces.taken);
}

}  // namespace
}  // namespace microagent::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace microagent::http;
  if (size == 0) return 0;
  const microagent::ByteView input(data + 1, size - 1);
  const std::size_t piece = std::size_t{data[0]} % 64 + 1;
  compare(read_requests(input, input.size() + 1), read_requests(input, piece));
  const bool head = (data[0] & 0x80) != 0;
  compare(read_responses(input, input.size() + 1, head), read_responses(input, piece, head));
  return 0;
}

// A WebSocket's frames with a secret in them, in pieces: what a client makes of the output is what it would have made
// of the input, masked. The input's first bytes are the size of the pieces and how the rest is cut into frames.

#include <algorithm>

#include "base/check.h"
#include "http/test_websocket.h"
#include "http/websocket_mask.h"
#include "script.h"

namespace microagent::http {
namespace {

const std::string kSecret = "sk-0123456789ab";

SecretFormsPtr forms() {
  static const auto made = std::make_shared<const SecretForms>(std::vector<std::string>{kSecret});
  return made;
}

// Frames that mean something, as the script says, each with letters or with a part of the secret.
std::string scripted(fuzz::Script& script) {
  std::string out;
  while (!script.over()) {
    const std::uint8_t first = script.next(), from = script.next() % 16, size = script.next() % 200;
    const std::string payload = (first & 0x10) != 0 ? kSecret.substr(std::min<std::size_t>(from, kSecret.size()), size)
                                                    : std::string(size, static_cast<char>('a' + from));
    out += websocket_frame(first & 0x8f, payload);
  }
  return out;
}

void feed(std::string_view in, std::size_t piece) {
  WebSocketMask mask(forms());
  std::vector<std::uint8_t> out;
  for (std::size_t at = 0; at < in.size(); at += piece) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(in.data()) + at;
    mask.feed({data, std::min(piece, in.size() - at)}, out);
  }
  const auto said = websocket_messages({reinterpret_cast<const char*>(out.data()), out.size()});
  MICROAGENT_CHECK(said.has_value());
  const auto meant = websocket_messages(in);
  if (mask.fault() == WebSocketMask::Fault::none) MICROAGENT_CHECK(meant && said->size() == meant->size());
  for (std::size_t i = 0; i < said->size(); ++i) {
    MICROAGENT_CHECK(said->at(i).find(kSecret) == std::string::npos);
    if (mask.fault() != WebSocketMask::Fault::none) continue;
    const std::size_t opcode = meant->at(i).find(' ') + 1;
    const std::string payload = mask_secrets(forms(), std::string_view(meant->at(i)).substr(opcode));
    MICROAGENT_CHECK(said->at(i) == meant->at(i).substr(0, opcode) + payload);
  }
}

}  // namespace
}  // namespace microagent::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = data[0] % 64 + 1;
  microagent::http::feed({reinterpret_cast<const char*>(data) + 1, size - 1}, piece);
  microagent::fuzz::Script script({data + 1, size - 1});
  microagent::http::feed(microagent::http::scripted(script), piece);
  return 0;
}

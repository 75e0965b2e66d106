// A TLS client's first bytes, in pieces as the input's first byte says. What is found must not depend on the pieces.

#include <algorithm>

#include "base/check.h"
#include "wire/client_hello.h"

namespace microagent::wire {
namespace {

void run(ByteView input) {
  if (input.empty()) return;
  const std::size_t piece = std::size_t{input.front()} + 1;
  input = input.subspan(1);
  ClientHelloReader whole, pieces;
  whole.feed(input);
  for (std::size_t at = 0; at < input.size(); at += piece) {
    pieces.feed(input.subspan(at, std::min(piece, input.size() - at)));
  }
  MICROAGENT_CHECK(whole.state() == pieces.state() && whole.fault() == pieces.fault());
  MICROAGENT_CHECK(whole.hello().server_name == pieces.hello().server_name);
  MICROAGENT_CHECK(whole.hello().server_name.empty() || is_host_name(whole.hello().server_name));
  MICROAGENT_CHECK(whole.state() != ClientHelloReader::State::incomplete || input.size() <= kMaxClientHello);
}

}  // namespace
}  // namespace microagent::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  microagent::wire::run({data, size});
  return 0;
}

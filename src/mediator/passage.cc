#include "mediator/passage.h"

#include <algorithm>

#include "base/check.h"

namespace microagent::mediator {

void replace_body(Passage& passage, const std::string& body) {
  passage.waiting.assign(body.begin(), body.end());
  passage.replaced = true;
  http::HeaderList& headers = passage.request.headers;
  if (find_header(headers, "content-length") == nullptr) return;
  MICROAGENT_CHECK(set_header(headers, "content-length", std::to_string(body.size())));
}

std::size_t bytes_to_consume(Passage& passage, std::size_t gone) {
  if (passage.replaced) return 0;  // all of the guest's are
  const std::size_t taken = std::min(passage.taken, gone);
  passage.taken -= taken;
  return gone - taken;
}

http::Http2Limits limits_of(const RequestGate& gate) {
  http::Http2Limits limits;
  limits.connection_window = gate.window();
  limits.stream_window = std::min(limits.stream_window, limits.connection_window);
  return limits;
}

}  // namespace microagent::mediator

#include "mediator/passage.h"

#include <algorithm>

#include "base/check.h"
#include "http/http2_message.h"
#include "http/refusal.h"

namespace microagent::mediator {

std::size_t memory_of(const http::HeaderList& fields) {
  std::size_t bytes = 0;
  for (const http::Header& field : fields) bytes += sizeof field + field.name.size() + field.value.size();
  return bytes;
}

// Its session with the upstream has a copy until that has gone out; its story and its flow (live_flow.h) know its path.
std::size_t memory_of(const http::RequestMessage& request) {
  return sizeof(Passage) + 2 * (memory_of(request.headers) + request.target.size()) + 3 * request.path.size();
}

bool is_all_here(const Passage& passage) {
  return passage.guest_ended && passage.waiting.empty() && passage.trailers.empty();
}

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

void answer(http::Http2Session& session, http::StreamId stream, const http::RequestMessage& request,
            const Refused& refused, bool json) {
  if (http::is_grpc(request.headers)) {
    const auto status = http::grpc_status(refused.status);
    if (!session.submit_response(stream, http::grpc_refusal(status, refused.words), true)) return;
  } else {
    http::RequestMessage asked = request;
    asked.version = http::Version::http_2;
    const http::OwnResponse own = own_response(asked, refused.status, json, refused.body);
    const bool empty = own.body.empty();
    if (!session.submit_response(stream, http2_fields(own.head), empty)) return;
    if (!empty && !session.send_data(stream, text_bytes(own.body), true)) return;
  }
  session.stop_request(stream, http::Http2Error::no_error);
}

http::Http2Limits limits_of(const RequestGate& gate) {
  http::Http2Limits limits;
  limits.connection_window = gate.window();
  limits.stream_window = std::min(limits.stream_window, limits.connection_window);
  return limits;
}

}  // namespace microagent::mediator

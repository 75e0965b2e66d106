#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/http2_session.h"
#include "http/message.h"
#include "mediator/head_memory.h"
#include "mediator/masked_stream.h"
#include "mediator/request_gate.h"

namespace microagent::mediator {

// A request on its way. The guest's stream is its number.
struct Passage {
  http::RequestMessage request;
  http::StreamId guest = 0;
  http::StreamId upstream = 0;  // 0: it waits for a slot
  bool repeatable = false;      // all that has gone up is its head
  bool json = false;
  bool guest_ended = false;  // the whole request is here
  bool response_begun = false, response_ended = false;
  bool guest_closed = false, upstream_closed = false;
  HeadMemory::Held held;              // for its heads
  std::vector<std::uint8_t> waiting;  // of the body, while there is no slot
  http::HeaderList trailers;          // the same
  RequestStory story;
  http::HeaderList head;             // of the response, while it is not known how its body goes on
  std::optional<MaskedStream> mask;  // where the body must not show something
  std::shared_ptr<void> loan;        // of memory, for what is looked through
  bool gathers = false;              // its body is looked at before it goes on
  bool replaced = false;             // and another goes on in its stead
  std::size_t taken = 0;             // of the guest's bytes that are consumed already, and have not gone on
};

// What one takes from its request on, and what each head behind that adds.
std::size_t memory_of(const http::RequestMessage& request);
std::size_t memory_of(const http::HeaderList& fields);

// Nothing but its head has to go up.
bool is_all_here(const Passage& passage);

// What waits, all of the body, gives way to another.
void replace_body(Passage& passage, const std::string& body);
// So many bytes have gone on: how many of the guest's that are not consumed yet have.
std::size_t bytes_to_consume(Passage& passage, std::size_t gone);

// Answers a stream of a guest's, and takes no more of its request: "everything is said", as RFC 9113, 8.1 has it.
void answer(http::Http2Session& session, http::StreamId stream, const http::RequestMessage& request,
            const Refused& refused, bool json);

// What either connection may have us hold, by the gate's leave.
http::Http2Limits limits_of(const RequestGate& gate);

}  // namespace microagent::mediator

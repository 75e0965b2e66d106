#pragma once

// Two streams within this process: what is written to the one is read from the other. Between a relay that speaks one
// version of HTTP, and whoever says the same in the other version (translate_guest.h, translate_upstream.h).

#include "base/result.h"
#include "mediator/stream.h"

namespace microagent::mediator {

struct Pipe {
  StreamPtr near, far;
};

// An end that goes without finish() is cut off for the other, as it is with TLS.
Result<Pipe> open_pipe(const asio::any_io_executor& executor);

}  // namespace microagent::mediator

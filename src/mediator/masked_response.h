#pragma once

// An HTTP/1 response on its way to the guest that is looked through for a secret: its head goes out as soon as it is
// known how the body goes on, and the body behind it, in chunks of our own where it comes in chunks.

#include <string>
#include <vector>

#include "http/echo_mask.h"
#include "http/message.h"
#include "mediator/stream.h"

namespace microagent::mediator {

class MaskedResponse {
 public:
  // `response`'s headers have been masked.
  MaskedResponse(Stream& guest, const http::RequestMessage& request, http::ResponseMessage response,
                 http::SecretFormsPtr secrets);

  // All that follow are false where the guest takes no more, or error() says why there is no more.
  //
  // What is fed goes out with what comes next, unless it is much: whoever waits for more flushes first.
  asio::awaitable<bool> feed(ByteView payload);
  asio::awaitable<bool> flush();
  asio::awaitable<bool> finish(http::HeaderList trailers);

  bool head_is_out() const { return head_is_out_; }
  const http::ResponseMessage& response() const { return response_; }
  std::string_view error() const;  // empty: nothing is wrong with the response

 private:
  asio::awaitable<bool> send(std::string_view end);

  Stream& guest_;
  const http::RequestMessage& request_;
  http::ResponseMessage response_;
  http::SecretFormsPtr secrets_;
  http::EchoMask mask_;
  bool chunked_;
  bool head_is_out_ = false;
  std::string head_;
  std::vector<std::uint8_t> body_;
};

}  // namespace microagent::mediator

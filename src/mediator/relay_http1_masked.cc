// Responses on whose way to the guest a credential is looked for, and blotted out.

#include <utility>

#include "mediator/relay_http1_impl.h"

namespace microagent::mediator {

http::ResponseMessage Http1Relay::without(const http::SecretFormsPtr& secrets, http::ResponseMessage response) {
  mask_headers(secrets, response.headers);
  if (secrets->stand_in(response.reason)) response.reason = mask_secrets(secrets, response.reason);
  return response;
}

bool Http1Relay::has_body(const http::RequestMessage& request, const http::ResponseMessage& response) {
  using Kind = http::Framing::Kind;
  const Kind kind = response_framing(request, response).kind;
  return !is_interim(response) && kind != Kind::none && kind != Kind::tunnel;
}

bool Http1Relay::opens_websocket(const http::ResponseMessage& response) {
  return response.status == 101 && http::lists_word(response.headers, "upgrade", "websocket");
}

// A response with a body, without the secret that its upstream may have put into it.
asio::awaitable<bool> Http1Relay::finish_masked(const http::RequestMessage& request, http::ResponseMessage response,
                                                http::SecretFormsPtr secrets, bool json) {
  const std::shared_ptr<void> loan = gate_.borrow(http::EchoMask::memory_for(response.headers));
  if (!loan) co_return co_await refuse_for_memory(request, json);
  answers_ = true;
  http::BodyReader& body = response_body_.emplace(response_framing(request, response));
  const bool lives = keeps_alive(request, response);
  MaskedResponse masked(guest_, request, std::move(response), std::move(secrets));
  std::string_view why = co_await pass_masked(body, masked);
  answers_ = masked.head_is_out();
  if (!masked.error().empty()) why = masked.error();
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return give_up("the guest's connection ended");
  if (!why.empty()) co_return co_await fail_upstream(request, true, json, std::string(why));
  co_return (lives && keeps_alive(request, masked.response())) || end();
}

// Empty when the whole response went out.
asio::awaitable<std::string_view> Http1Relay::pass_masked(http::BodyReader& body, MaskedResponse& masked) {
  constexpr std::string_view kNotTaken = "the guest took no response";
  while (!body.done()) {
    if (upstream_in_->bytes().empty() && !co_await masked.flush()) co_return kNotTaken;
    if (!co_await upstream_in_->fill(kNever)) {
      if (upstream_in_->end() == StreamEnd::finished && body.on_end()) break;
      co_return "the upstream's response was cut off";
    }
    const http::BodyReader::Piece piece = body.next(upstream_in_->bytes());
    if (body.fault() != http::BodyFault::none) co_return to_string(body.fault());
    const ByteView bytes = upstream_in_->bytes().first(piece.size);
    if (piece.payload && !co_await masked.feed(bytes)) co_return kNotTaken;
    upstream_in_->take(piece.size);
  }
  co_return co_await masked.finish(body.trailers()) ? std::string_view() : kNotTaken;
}

// The same for what a WebSocket brings.
asio::awaitable<bool> Http1Relay::finish_websocket(const http::RequestMessage& request,
                                                   const http::ResponseMessage& response, http::SecretFormsPtr secrets,
                                                   bool json) {
  const std::shared_ptr<void> loan = gate_.borrow(http::WebSocketMask::kMemory);
  if (!loan) co_return co_await refuse_for_memory(request, json);
  answers_ = true;
  const std::string head = encode_head(response);
  if (!co_await guest_.write_all(text_bytes(head), kNever)) co_return give_up("the guest took no response");
  http::WebSocketMask mask(std::move(secrets));
  co_await carry_bytes(guest_in_, *upstream_in_, story_.bytes_out, story_.bytes_in, &mask);
  if (mask.fault() != http::WebSocketMask::Fault::none) give_up(mask.fault_text());
  co_return false;
}

}  // namespace microagent::mediator

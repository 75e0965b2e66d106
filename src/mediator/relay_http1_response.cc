// From the upstream to the guest: the responses to one request, as they come.

#include <utility>

#include "mediator/relay_http1_impl.h"

namespace microagent::mediator {

// All responses to one request: as many interim ones as there are, and the final one.
asio::awaitable<bool> Http1Relay::respond(const http::RequestMessage& request, bool fresh, bool json) {
  for (;;) {
    http::ResponseReader reader;
    while (reader.state() == http::HeadReader::State::incomplete) {
      if (!co_await upstream_in_->fill(kNever)) {
        const char* why = reader.is_begun() ? "the upstream ended within its response's head"
                                            : "the upstream ended without a response";
        co_return co_await fail_upstream(request, fresh || reader.is_begun(), json, why);
      }
      upstream_in_->take(reader.feed(upstream_in_->bytes()));
    }
    const http::ResponseMessage& response = reader.message();
    http::MessageFault fault = reader.fault();
    if (fault == http::MessageFault::none) fault = check_response(request, response);
    // What is left of the body would be the first of the other protocol (RFC 9110, 7.8).
    if (response.status == 101 && !body_sent_) fault = http::MessageFault::unasked_upgrade;
    if (fault != http::MessageFault::none) {
      co_return co_await fail_upstream(request, true, json,
                                       "the upstream's response: " + std::string(to_string(fault)));
    }
    binds_guest_ = binds_guest_ || binds_connection(response.headers, "www-authenticate");
    const http::SecretFormsPtr secrets = gate_.secrets(story_);
    final_answer_ = !is_interim(response);
    if (secrets && has_body(request, response)) {
      story_.status = response.status;
      co_return co_await finish_masked(request, without(secrets, response), secrets, json);
    }
    if (secrets && opens_websocket(response)) {
      story_.status = response.status;
      co_return co_await finish_websocket(request, without(secrets, response), secrets, json);
    }
    std::string head = secrets ? encode_head(without(secrets, response)) : encode_head(response);
    answers_ = true;
    if (!is_interim(response)) {
      story_.status = response.status;
      co_return co_await finish(request, response, std::move(head));
    }
    if (!co_await guest_.write_all(text_bytes(head), kNever)) co_return give_up("the guest took no response");
    answers_ = false;
  }
}

asio::awaitable<bool> Http1Relay::finish(const http::RequestMessage& request, const http::ResponseMessage& response,
                                         std::string head) {
  const http::Framing framing = response_framing(request, response);
  http::BodyReader& body = response_body_.emplace(framing);
  // What is here of the body goes with its head: one record of TLS, one system call, and one wake-up of the guest.
  const std::size_t first = framing.kind == http::Framing::Kind::tunnel ? 0 : body.feed(upstream_in_->bytes());
  const ByteView begin = upstream_in_->bytes().first(first);
  head.append(begin.begin(), begin.end());
  upstream_in_->take(first);
  if (!co_await guest_.write_all(text_bytes(head), kNever)) co_return give_up("the guest took no response");
  if (body.fault() != http::BodyFault::none) co_return give_up(to_string(body.fault()));
  if (framing.kind == http::Framing::Kind::tunnel) co_return co_await tunnel();
  if (!co_await pass_response(body)) co_return false;
  co_return keeps_alive(request, response) || end();
}

asio::awaitable<bool> Http1Relay::pass_response(http::BodyReader& body) {
  while (!body.done()) {
    if (!co_await upstream_in_->fill(kNever)) {
      const bool in_order = upstream_in_->end() == StreamEnd::finished && body.on_end();
      if (is_cancelled(co_await asio::this_coro::cancellation_state)) {
        co_return give_up("the guest's connection ended");
      }
      if (in_order) co_return true;
      gate_.break_off();
      co_return give_up(knows_trouble() ? std::string_view(*trouble_) : "the upstream's response was cut off");
    }
    const std::size_t count = body.feed(upstream_in_->bytes());
    if (!co_await guest_.write_all(upstream_in_->bytes().first(count), kNever)) {
      co_return give_up("the guest took no response");
    }
    upstream_in_->take(count);
    if (body.fault() != http::BodyFault::none) co_return give_up(to_string(body.fault()));
  }
  co_return true;
}

// After a 101 the connection is the other protocol's.
asio::awaitable<bool> Http1Relay::tunnel() {
  co_await carry_bytes(guest_in_, *upstream_in_, story_.bytes_out, story_.bytes_in);
  co_return false;
}

}  // namespace microagent::mediator

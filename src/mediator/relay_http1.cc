// HTTP/1 between a guest and its upstream: the life of the connection, from exchange to exchange.

#include <utility>

#include "http/refusal.h"
#include "mediator/relay_http1_impl.h"

namespace microagent::mediator {

Http1Relay::Http1Relay(Stream& guest, Http1Upstream upstream, http::Scheme scheme, RequestGate& gate)
    : guest_(guest),
      upstream_(upstream.stream),
      trouble_(upstream.trouble),
      gate_(gate),
      guest_in_(guest),
      requests_(scheme),
      reused_(upstream.trouble == nullptr && gate.upstream_is_reused()) {
  if (upstream_ != nullptr) upstream_in_.emplace(*upstream_);
}

asio::awaitable<void> Http1Relay::run() {
  while (co_await exchange()) continue;
  if (says_end_) co_await guest_.finish();
}

asio::awaitable<void> Http1Relay::fail(std::string why) {
  if (!co_await read_request()) co_return;
  const http::RequestMessage request = requests_.take();
  const bool json = http::wants_json(request);
  co_await refuse(request, gate_.upstream_failed(why, json), json);
  if (says_end_) co_await guest_.finish();
}

void Http1Relay::tell(bool ended) {
  if (request_body_) story_.bytes_out = request_body_->payload_bytes();
  if (response_body_) story_.bytes_in = response_body_->payload_bytes();
  if (!ended && story_.error.empty()) story_.error = "the guest's connection ended";
  gate_.record(story_);
  request_body_.reset();
  response_body_.reset();
}

// One request and its response; false when the connection is over.
asio::awaitable<bool> Http1Relay::exchange() {
  if (!co_await await_request() || !co_await read_request()) co_return false;
  http::RequestMessage request = requests_.take();
  const bool json = http::wants_json(request);
  story_ = RequestStory(request);
  binds_guest_ = binds_guest_ || binds_connection(request.headers, "authorization");
  if (const auto refused = gate_.admit(request, story_)) {
    const bool again = request_framing(request).kind == http::Framing::Kind::none;
    co_return co_await refuse(request, *refused, json, again && keeps_connection(request));
  }
  Telling telling{*this};
  const bool again = co_await perform(std::move(request), json);
  telling.ended = true;
  co_return again;
}

// An upstream that ends or speaks while nobody has asked it anything is done with, and so is the guest.
asio::awaitable<bool> Http1Relay::await_request() {
  if (!guest_in_.bytes().empty()) co_return true;
  if (fresh_ || upstream_ == nullptr) co_return co_await guest_in_.fill(kNever) || leave();
  for (;;) {
    if (const auto asked = guest_in_.try_fill()) co_return *asked || leave();
    if (upstream_in_->try_fill()) break;
    co_await wait_for_either(guest_, *upstream_);
  }
  says_end_ = upstream_in_->end() == StreamEnd::finished;
  co_return false;
}

// The guest is done, and has nothing under way.
bool Http1Relay::leave() {
  if (upstream_ != nullptr && !binds_guest_ && !has_spoken()) gate_.leave_upstream_clean();
  return false;
}

bool Http1Relay::keeps_connection(const http::RequestMessage& request) {
  return request.version == http::Version::http_1_1 && !http::lists_word(request.headers, "connection", "close");
}

asio::awaitable<void> relay_http1(Stream& guest, Http1Upstream upstream, http::Scheme scheme, RequestGate& gate) {
  Http1Relay relay(guest, upstream, scheme, gate);
  co_await relay.run();
}

asio::awaitable<void> relay_http1(Stream& guest, Stream& upstream, http::Scheme scheme, RequestGate& gate) {
  return relay_http1(guest, Http1Upstream{&upstream}, scheme, gate);
}

asio::awaitable<void> answer_with_failure(Stream& guest, std::string why, RequestGate& gate) {
  Http1Relay relay(guest, {}, http::Scheme::https, gate);
  co_await relay.fail(std::move(why));
}

}  // namespace microagent::mediator

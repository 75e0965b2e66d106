// How an exchange ends that does not come to its own end, and what the guest is told of it.

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "http/refusal.h"
#include "mediator/relay_http1_impl.h"

namespace microagent::mediator {

// A body that is none is answered, too, where no answer has begun.
asio::awaitable<bool> Http1Relay::fail_request(const http::RequestMessage& request, const http::BodyReader& body,
                                               std::string why, bool json) {
  story_.error = std::move(why);
  if (body.fault() == http::BodyFault::none || final_answer_) co_return false;
  const Refused refused = gate_.refuse_malformed(story_.error, json);
  if (answers_) co_return false;
  story_.status = refused.status;
  co_return co_await refuse(request, refused, json);
}

// The answer has begun, and is passed whole; the connection ends with it, since the body never does.
void Http1Relay::deny_behind_answer(const std::string& fault) {
  story_.error = fault;
  static_cast<void>(gate_.refuse_malformed(fault, false));
}

// An upstream that goes on answering what it will never have has so long.
asio::awaitable<void> Http1Relay::patience() {
  asio::steady_timer timer(co_await asio::this_coro::executor, gate_.patience());
  co_await timer.async_wait(kAsTuple);
}

// A connection that was used before may have been closed while the request was under way. The guest's client knows
// that race and tries again; a first request that gets no answer is told why.
asio::awaitable<bool> Http1Relay::fail_upstream(const http::RequestMessage& request, bool tell, bool json,
                                                std::string why) {
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return give_up("the guest's connection ended");
  if (knows_trouble()) {
    why = *trouble_;
    tell = true;
  }
  story_.error = why;
  if (!tell || answers_) co_return false;
  const Refused refused = gate_.upstream_failed(why, json);
  story_.status = refused.status;
  co_return co_await refuse(request, refused, json);
}

asio::awaitable<bool> Http1Relay::refuse_for_memory(const http::RequestMessage& request, bool json) {
  Refused refused = gate_.lacks_memory(json);
  story_.status = refused.status;
  story_.error = refused.words;
  co_return co_await refuse(request, std::move(refused), json);
}

asio::awaitable<bool> Http1Relay::refuse(http::RequestMessage request, Refused refused, bool json, bool keep) {
  const http::OwnResponse own = is_grpc(request.headers)
                                    ? http::grpc_response(refused.status, refused.words, keep)
                                    : own_response(request, refused.status, json, std::move(refused.body), keep);
  const std::string answer = encode_head(own.head) + own.body;
  if (!co_await guest_.write_all(text_bytes(answer), kNever)) co_return false;
  co_return keep || end();
}

// The guest has heard all, and is told so when the story is.
bool Http1Relay::end() {
  says_end_ = true;
  return false;
}

bool Http1Relay::give_up(std::string_view why) {
  story_.error = why;
  return false;
}

}  // namespace microagent::mediator

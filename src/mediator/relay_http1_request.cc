// From the guest to the upstream: a request is read, judged and equipped, and sent on.

#include <fmt/format.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>

#include "base/check.h"
#include "base/secret.h"
#include "http/refusal.h"
#include "http/secret_placement.h"
#include "mediator/relay_http1_impl.h"

namespace microagent::mediator {
namespace {

using namespace asio::experimental::awaitable_operators;

// Another body, in the framing of the one that came.
std::string reframed(http::RequestMessage& request, const std::string& body, const http::HeaderList& trailers) {
  if (request_framing(request).kind != http::Framing::Kind::chunked) {
    MICROAGENT_CHECK(set_header(request.headers, "Content-Length", std::to_string(body.size())));
    return body;
  }
  std::string text = body.empty() ? "" : fmt::format("{:x}\r\n{}\r\n", body.size(), body);
  text += "0\r\n";
  for (const http::Header& trailer : trailers) text += fmt::format("{}: {}\r\n", trailer.name, trailer.value);
  return text + "\r\n";
}

}  // namespace

asio::awaitable<bool> Http1Relay::read_request() {
  const Deadline deadline = in(gate_.head_time());
  for (;;) {
    if (!co_await guest_in_.fill(deadline)) co_return co_await refuse_slow();
    guest_in_.take(requests_.feed(guest_in_.bytes()));
    if (requests_.state() == http::HeadReader::State::complete) co_return true;
    if (requests_.state() != http::HeadReader::State::failed) continue;
    co_await refuse({}, gate_.refuse_malformed(std::string(to_string(requests_.fault())), false), false);
    co_return false;
  }
}

// Half a head is answered. Who has sent nothing at all has asked nothing (RFC 9110, 15.5.9).
asio::awaitable<bool> Http1Relay::refuse_slow() {
  if (guest_in_.end() == StreamEnd::timed_out && requests_.is_begun()) co_await refuse({}, gate_.refuse_slow(), false);
  co_return false;
}

asio::awaitable<bool> Http1Relay::perform(http::RequestMessage request, bool json) {
  if (gate_.lacks_credential(request)) co_await gate_.obtain_credential();
  if (const auto refused = gate_.equip(request, story_)) {
    story_.status = refused->status;
    story_.error = refused->words;
    const bool again = request_framing(request).kind == http::Framing::Kind::none;
    co_return co_await refuse(request, *refused, json, again && keeps_connection(request));
  }
  http::BodyReader& body = request_body_.emplace(request_framing(request));
  std::string ahead;
  std::shared_ptr<void> loan;  // as it came, as it is read, and as it goes on
  if (!body.done() && gate_.rewrites_body(request)) {
    loan = gate_.borrow(3 * http::kMaxSwappedBody);
    if (!loan) co_return co_await refuse_for_memory(request, json);
    if (!co_await gather(request, body, ahead)) {
      const bool sound = body.fault() == http::BodyFault::none;
      const std::string_view why = sound ? kHalfABody : to_string(body.fault());
      co_return co_await fail_request(request, body, std::string(why), json);
    }
    const bool whole = body.done();
    BodyVerdict verdict = gate_.rewrite_body(request, gathered_, whole, story_);
    if (verdict.refused) {
      story_.status = verdict.refused->status;
      story_.error = verdict.refused->words;
      co_return co_await refuse(request, std::move(*verdict.refused), json);
    }
    if (verdict.replacement) ahead = reframed(request, *verdict.replacement, body.trailers());
  }
  co_return co_await carry(request, body, std::move(ahead), json);
}

// The body, as long as it is to be looked at: as it came, and in gathered_ what it says. False where it cannot be
// had.
asio::awaitable<bool> Http1Relay::gather(http::RequestMessage& request, http::BodyReader& body, std::string& ahead) {
  gathered_.clear();
  if (expects_continue(request)) {
    http::remove_header(request.headers, "expect");
    if (!co_await guest_.write_all(text_bytes("HTTP/1.1 100 Continue\r\n\r\n"), kNever)) co_return false;
  }
  while (!body.done() && gathered_.size() <= http::kMaxSwappedBody) {
    if (!co_await guest_in_.fill(kNever)) co_return false;
    const http::BodyReader::Piece piece = body.next(guest_in_.bytes());
    const ByteView bytes = guest_in_.bytes().first(piece.size);
    ahead.append(bytes.begin(), bytes.end());
    if (piece.payload) gathered_.append(bytes.begin(), bytes.end());
    guest_in_.take(piece.size);
    if (body.fault() != http::BodyFault::none) co_return false;
  }
  co_return true;
}

// `ahead` is what has been taken of the body.
asio::awaitable<bool> Http1Relay::carry(const http::RequestMessage& request, http::BodyReader& body, std::string ahead,
                                        bool json) {
  std::string head = encode_head(request) + ahead;
  answers_ = final_answer_ = false;
  const std::string failure = co_await send_head(request, head);
  const bool fresh = std::exchange(fresh_, false);
  for (std::string* text : {&head, &ahead, &gathered_}) wipe(*text);  // they may hold a credential
  if (!failure.empty()) co_return co_await fail_upstream(request, fresh, json, failure);
  bool again = false;
  body_sent_ = body.done();
  if (body_sent_) {
    again = co_await respond(request, fresh, json);
  } else {
    const auto first = co_await (respond(request, fresh, json) || break_on_failure(body));
    if (first.index() == 0) {
      again = std::get<0>(first);
      if (!body_sent_ && story_.error.empty()) story_.error = "the response came before the whole request";
    } else {
      again = co_await fail_request(request, body, std::get<1>(first), json);
    }
  }
  co_return again&& body_sent_;
}

// Sends the body up, and returns only when the guest fails it, with what is wrong: what the upstream has to say comes
// as its response.
asio::awaitable<std::string> Http1Relay::break_on_failure(http::BodyReader& body) {
  while (!body.done()) {
    if (!co_await guest_in_.fill(kNever)) co_return std::string(kHalfABody);
    const std::size_t count = body.feed(guest_in_.bytes());
    const bool sent = co_await upstream_->write_all(guest_in_.bytes().first(count), kNever);
    guest_in_.take(count);
    if (body.fault() != http::BodyFault::none) {
      const std::string fault(to_string(body.fault()));
      if (!final_answer_) co_return fault;
      deny_behind_answer(fault);
      co_await patience();
      co_return fault;
    }
    body_sent_ = sent && body.done();
    if (!sent) break;
  }
  co_await forever();
  co_return std::string();
}

}  // namespace microagent::mediator

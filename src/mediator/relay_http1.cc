// HTTP/1 between a guest and its upstream: one exchange after the other, as RFC 9112 has it.
//
// A request goes on only when its head has been judged, and nothing behind it before its own turn comes. While a body
// goes up, the response may already come down: whichever way the exchange ends, it is the response that decides.

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/secret.h"
#include "http/body_reader.h"
#include "http/head_reader.h"
#include "http/refusal.h"
#include "http/secret_placement.h"
#include "mediator/inflow.h"
#include "mediator/masked_response.h"
#include "mediator/relay.h"

namespace microagent::mediator {
namespace {

using namespace asio::experimental::awaitable_operators;

constexpr std::string_view kHalfABody = "the guest did not send the whole body";
constexpr std::chrono::milliseconds kHeadTimeout{60'000};  // from a head's first byte to its last

// With these a connection, and not each request, knows who speaks on it (RFC 4559, 6).
bool binds_connection(const http::HeaderList& headers, std::string_view name) {
  return http::names_scheme(headers, name, "ntlm") || http::names_scheme(headers, name, "negotiate");
}

class Http1Relay {
 public:
  Http1Relay(Stream& guest, Http1Upstream upstream, http::Scheme scheme, RequestGate& gate)
      : guest_(guest),
        upstream_(upstream.stream),
        trouble_(upstream.trouble),
        gate_(gate),
        guest_in_(guest),
        requests_(scheme),
        reused_(upstream.trouble == nullptr && gate.upstream_is_reused()) {
    if (upstream_ != nullptr) upstream_in_.emplace(*upstream_);
  }

  asio::awaitable<void> run() {
    while (co_await exchange()) continue;
    if (says_end_) co_await guest_.finish();
  }

  asio::awaitable<void> fail(std::string why) {
    if (!co_await read_request()) co_return;
    const http::RequestMessage request = requests_.take();
    const bool json = http::wants_json(request);
    co_await refuse(request, gate_.upstream_failed(why, json), json);
    if (says_end_) co_await guest_.finish();
  }

 private:
  // Whatever becomes of an exchange, its story is told. One that does not come to its own end was cancelled: the guest
  // is gone.
  struct Telling {
    Http1Relay& relay;
    bool ended = false;
    ~Telling() { relay.tell(ended); }
  };

  void tell(bool ended) {
    if (request_body_) story_.bytes_out = request_body_->payload_bytes();
    if (response_body_) story_.bytes_in = response_body_->payload_bytes();
    if (!ended && story_.error.empty()) story_.error = "the guest's connection ended";
    gate_.record(story_);
    request_body_.reset();
    response_body_.reset();
  }

  // One request and its response; false when the connection is over.
  asio::awaitable<bool> exchange() {
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

  asio::awaitable<bool> perform(http::RequestMessage request, bool json) {
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

  asio::awaitable<bool> refuse_for_memory(const http::RequestMessage& request, bool json) {
    Refused refused = gate_.lacks_memory(json);
    story_.status = refused.status;
    story_.error = refused.words;
    co_return co_await refuse(request, std::move(refused), json);
  }

  // The body, as long as it is to be looked at: as it came, and in gathered_ what it says. False where it cannot be
  // had.
  asio::awaitable<bool> gather(http::RequestMessage& request, http::BodyReader& body, std::string& ahead) {
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

  // Another body, in the framing of the one that came.
  static std::string reframed(http::RequestMessage& request, const std::string& body,
                              const http::HeaderList& trailers) {
    if (request_framing(request).kind != http::Framing::Kind::chunked) {
      MICROAGENT_CHECK(set_header(request.headers, "Content-Length", std::to_string(body.size())));
      return body;
    }
    std::string text = body.empty() ? "" : fmt::format("{:x}\r\n{}\r\n", body.size(), body);
    text += "0\r\n";
    for (const http::Header& trailer : trailers) text += fmt::format("{}: {}\r\n", trailer.name, trailer.value);
    return text + "\r\n";
  }

  // An upstream that ends or speaks while nobody has asked it anything is done with, and so is the guest.
  asio::awaitable<bool> await_request() {
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
  bool leave() {
    if (upstream_ != nullptr && !binds_guest_ && !has_spoken()) gate_.leave_upstream_clean();
    return false;
  }

  // The upstream has ended, or what it says is the answer to nothing (RFC 9112, 6.3): asked before a request goes out.
  bool has_spoken() { return upstream_in_->try_fill().has_value(); }

  asio::awaitable<bool> read_request() {
    const Deadline deadline = in(kHeadTimeout);
    for (;;) {
      if (!co_await guest_in_.fill(deadline)) co_return false;
      guest_in_.take(requests_.feed(guest_in_.bytes()));
      if (requests_.state() == http::HeadReader::State::complete) co_return true;
      if (requests_.state() != http::HeadReader::State::failed) continue;
      co_await refuse({}, gate_.refuse_malformed(std::string(to_string(requests_.fault())), false), false);
      co_return false;
    }
  }

  // `ahead` is what has been taken of the body.
  asio::awaitable<bool> carry(const http::RequestMessage& request, http::BodyReader& body, std::string ahead,
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

  // Over the upstream's connection, or over another one as long as nothing was asked on this one that may not be asked
  // twice. Empty when the head is out.
  asio::awaitable<std::string> send_head(const http::RequestMessage& request, const std::string& head) {
    const bool reused = std::exchange(reused_, false);
    const bool spoken = upstream_ != nullptr && trouble_ == nullptr && has_spoken();
    if (spoken && !fresh_ && !reused) co_return "the upstream ended, or spoke, before it was asked anything";
    if (reused && !spoken && may_repeat(request) && co_await is_answered(head)) co_return "";
    if (upstream_ == nullptr || reused || spoken) {
      const std::string failure = co_await replace_upstream();
      if (!failure.empty()) co_return failure;
    }
    if (!co_await upstream_->write_all(text_bytes(head), kNever)) co_return "the upstream took no request";
    co_return "";
  }

  // The first request over a connection from the pool. Where no answer begins, it goes over another one.
  asio::awaitable<bool> is_answered(const std::string& head) {
    co_return co_await upstream_->write_all(text_bytes(head), kNever) && co_await upstream_in_->fill(kNever);
  }

  // Empty when there is another.
  asio::awaitable<std::string> replace_upstream() {
    upstream_in_.reset();
    upstream_ = nullptr;
    fresh_ = true;
    const auto stream = co_await gate_.replace_upstream();
    if (!stream) co_return stream.error();
    upstream_ = *stream;
    upstream_in_.emplace(*upstream_);
    co_return "";
  }

  // Sends the body up, and returns only when the guest fails it, with what is wrong: what the upstream has to say comes
  // as its response.
  asio::awaitable<std::string> break_on_failure(http::BodyReader& body) {
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

  // An upstream that goes on answering what it will never have has so long.
  asio::awaitable<void> patience() {
    asio::steady_timer timer(co_await asio::this_coro::executor, gate_.patience());
    co_await timer.async_wait(kAsTuple);
  }

  // The answer has begun, and is passed whole; the connection ends with it, since the body never does.
  void deny_behind_answer(const std::string& fault) {
    story_.error = fault;
    static_cast<void>(gate_.refuse_malformed(fault, false));
  }

  // A body that is none is answered, too, where no answer has begun.
  asio::awaitable<bool> fail_request(const http::RequestMessage& request, const http::BodyReader& body, std::string why,
                                     bool json) {
    story_.error = std::move(why);
    if (body.fault() == http::BodyFault::none || final_answer_) co_return false;
    const Refused refused = gate_.refuse_malformed(story_.error, json);
    if (answers_) co_return false;
    story_.status = refused.status;
    co_return co_await refuse(request, refused, json);
  }

  // All responses to one request: as many interim ones as there are, and the final one.
  asio::awaitable<bool> respond(const http::RequestMessage& request, bool fresh, bool json) {
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

  asio::awaitable<bool> finish(const http::RequestMessage& request, const http::ResponseMessage& response,
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

  static http::ResponseMessage without(const http::SecretFormsPtr& secrets, http::ResponseMessage response) {
    mask_headers(secrets, response.headers);
    if (secrets->stand_in(response.reason)) response.reason = mask_secrets(secrets, response.reason);
    return response;
  }

  static bool has_body(const http::RequestMessage& request, const http::ResponseMessage& response) {
    using Kind = http::Framing::Kind;
    const Kind kind = response_framing(request, response).kind;
    return !is_interim(response) && kind != Kind::none && kind != Kind::tunnel;
  }

  static bool opens_websocket(const http::ResponseMessage& response) {
    return response.status == 101 && http::lists_word(response.headers, "upgrade", "websocket");
  }

  // A response with a body, without the secret that its upstream may have put into it.
  asio::awaitable<bool> finish_masked(const http::RequestMessage& request, http::ResponseMessage response,
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
  asio::awaitable<std::string_view> pass_masked(http::BodyReader& body, MaskedResponse& masked) {
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

  asio::awaitable<bool> pass_response(http::BodyReader& body) {
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

  // The same for what a WebSocket brings.
  asio::awaitable<bool> finish_websocket(const http::RequestMessage& request, const http::ResponseMessage& response,
                                         http::SecretFormsPtr secrets, bool json) {
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

  // After a 101 the connection is the other protocol's.
  asio::awaitable<bool> tunnel() {
    co_await carry_bytes(guest_in_, *upstream_in_, story_.bytes_out, story_.bytes_in);
    co_return false;
  }

  // A connection that was used before may have been closed while the request was under way. The guest's client knows
  // that race and tries again; a first request that gets no answer is told why.
  asio::awaitable<bool> fail_upstream(const http::RequestMessage& request, bool tell, bool json, std::string why) {
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

  asio::awaitable<bool> refuse(http::RequestMessage request, Refused refused, bool json, bool keep = false) {
    const http::OwnResponse own = is_grpc(request.headers)
                                      ? http::grpc_response(refused.status, refused.words, keep)
                                      : own_response(request, refused.status, json, std::move(refused.body), keep);
    const std::string answer = encode_head(own.head) + own.body;
    if (!co_await guest_.write_all(text_bytes(answer), kNever)) co_return false;
    co_return keep || end();
  }

  // The guest has heard all, and is told so when the story is.
  bool end() {
    says_end_ = true;
    return false;
  }

  bool knows_trouble() const { return trouble_ != nullptr && !trouble_->empty(); }

  static bool keeps_connection(const http::RequestMessage& request) {
    return request.version == http::Version::http_1_1 && !http::lists_word(request.headers, "connection", "close");
  }

  bool give_up(std::string_view why) {
    story_.error = why;
    return false;
  }

  Stream& guest_;
  Stream* upstream_;
  const std::string* trouble_;
  RequestGate& gate_;
  Inflow guest_in_;
  std::optional<Inflow> upstream_in_;
  http::RequestReader requests_;
  RequestStory story_;
  std::optional<http::BodyReader> request_body_, response_body_;  // of the exchange
  std::string gathered_;                                          // of a body that is looked at before it goes on
  bool reused_;                // the upstream's connection, and nothing has gone over it since
  bool binds_guest_ = false;   // it knows who speaks on it (NTLM, Negotiate): nobody else may
  bool fresh_ = true;          // no request has gone over the upstream's connection
  bool answers_ = false;       // the guest hears, or has heard, a response that nothing may come between
  bool final_answer_ = false;  // and it is the last word on its request
  bool body_sent_ = false;     // the whole request is out
  bool says_end_ = false;      // nothing more follows
};

}  // namespace

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

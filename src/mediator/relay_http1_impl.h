#pragma once

// HTTP/1 between a guest and its upstream: one exchange after the other, as RFC 9112 has it.
//
// A request goes on only when its head has been judged, and nothing behind it before its own turn comes. While a body
// goes up, the response may already come down: whichever way the exchange ends, it is the response that decides.
//
// relay_http1.cc has the life of the connection, from exchange to exchange. A request is read and sent up by
// relay_http1_request.cc, over the connection that relay_http1_upstream.cc has or replaces; its response comes down
// through relay_http1_response.cc, or through relay_http1_masked.cc where it must not show a credential.
// relay_http1_ends.cc has how an exchange fails, and what the guest is told then.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "http/body_reader.h"
#include "http/head_reader.h"
#include "mediator/inflow.h"
#include "mediator/masked_response.h"
#include "mediator/relay.h"

namespace microagent::mediator {

class Http1Relay {
 public:
  Http1Relay(Stream& guest, Http1Upstream upstream, http::Scheme scheme, RequestGate& gate);
  Http1Relay(const Http1Relay&) = delete;
  Http1Relay& operator=(const Http1Relay&) = delete;

  asio::awaitable<void> run();
  // Answers the first request with a failure, and ends.
  asio::awaitable<void> fail(std::string why);

 private:
  // Whatever becomes of an exchange, its story is told. One that does not come to its own end was cancelled: the guest
  // is gone.
  struct Telling {
    Http1Relay& relay;
    bool ended = false;
    ~Telling() { relay.tell(ended); }
  };

  // ---- one exchange after the other: relay_http1.cc. What gives a bool says whether the connection goes on.

  asio::awaitable<bool> exchange();
  void tell(bool ended);
  asio::awaitable<bool> await_request();
  bool leave();
  static bool keeps_connection(const http::RequestMessage& request);

  // ---- from the guest to the upstream: relay_http1_request.cc

  asio::awaitable<bool> read_request();
  asio::awaitable<bool> refuse_slow();
  asio::awaitable<bool> perform(http::RequestMessage request, bool json);
  asio::awaitable<bool> gather(http::RequestMessage& request, http::BodyReader& body, std::string& ahead);
  asio::awaitable<bool> carry(const http::RequestMessage& request, http::BodyReader& body, std::string ahead,
                              bool json);
  asio::awaitable<std::string> break_on_failure(http::BodyReader& body);

  // ---- the connection to the upstream: relay_http1_upstream.cc

  bool has_spoken();
  asio::awaitable<std::string> send_head(const http::RequestMessage& request, const std::string& head);
  asio::awaitable<bool> is_answered(const std::string& head);
  asio::awaitable<std::string> replace_upstream();
  bool knows_trouble() const;
  static bool binds_connection(const http::HeaderList& headers, std::string_view name);

  // ---- from the upstream to the guest: relay_http1_response.cc

  asio::awaitable<bool> respond(const http::RequestMessage& request, bool fresh, bool json);
  asio::awaitable<bool> finish(const http::RequestMessage& request, const http::ResponseMessage& response,
                               std::string head);
  asio::awaitable<bool> pass_response(http::BodyReader& body);
  asio::awaitable<bool> tunnel();

  // ---- the same without a secret: relay_http1_masked.cc

  static http::ResponseMessage without(const http::SecretFormsPtr& secrets, http::ResponseMessage response);
  static bool has_body(const http::RequestMessage& request, const http::ResponseMessage& response);
  static bool opens_websocket(const http::ResponseMessage& response);
  asio::awaitable<bool> finish_masked(const http::RequestMessage& request, http::ResponseMessage response,
                                      http::SecretFormsPtr secrets, bool json);
  asio::awaitable<std::string_view> pass_masked(http::BodyReader& body, MaskedResponse& masked);
  asio::awaitable<bool> finish_websocket(const http::RequestMessage& request, const http::ResponseMessage& response,
                                         http::SecretFormsPtr secrets, bool json);

  // ---- how it ends otherwise: relay_http1_ends.cc

  asio::awaitable<bool> fail_request(const http::RequestMessage& request, const http::BodyReader& body, std::string why,
                                     bool json);
  void deny_behind_answer(const std::string& fault);
  asio::awaitable<void> patience();
  asio::awaitable<bool> fail_upstream(const http::RequestMessage& request, bool tell, bool json, std::string why);
  asio::awaitable<bool> refuse_for_memory(const http::RequestMessage& request, bool json);
  asio::awaitable<bool> refuse(http::RequestMessage request, Refused refused, bool json, bool keep = false);
  bool end();
  bool give_up(std::string_view why);

  static constexpr std::string_view kHalfABody = "the guest did not send the whole body";

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

}  // namespace microagent::mediator

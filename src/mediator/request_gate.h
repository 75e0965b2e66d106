#pragma once

// Where the requests of an intercepted connection are judged and written down, whatever version of HTTP carried them.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "credentials/keeper.h"
#include "http/echo_mask.h"
#include "http/http2_limits.h"
#include "http/http2_session.h"
#include "http/message.h"
#include "mediator/stream.h"

namespace microagent::mediator {

// A request that goes nowhere, and what the guest is told.
struct Refused {
  std::uint16_t status = 403;
  std::string words;  // one line, for gRPC
  std::string body;   // text, or JSON where the request prefers that
};

// What the answers of a request are looked through for, where its credential is none of the last two any more.
struct OldForms {
  std::uint64_t latest = 0;  // version that was sent when it was made
  http::SecretFormsPtr forms;
};

// One request from its head to its end.
struct RequestStory {
  RequestStory() = default;
  explicit RequestStory(const http::RequestMessage& request)
      : method(request.method), host(request.authority.host), path(request.path) {}

  std::string method, host, path;
  std::uint16_t status = 0;                   // 0: none was sent
  std::uint64_t bytes_out = 0, bytes_in = 0;  // of the bodies
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  std::string would_deny, rule;           // what --observe let through, and which rule speaks against it
  std::string error;                      // why it did not come to its end; empty where it did
  std::string swap;                       // whose credential it carried; empty: none
  std::uint64_t credential = 0;           // its version
  std::shared_ptr<const Secret> carried;  // and the credential itself, for secrets()
  credentials::Credential given;          // it was equipped with; not all of it need have use for that
  mutable OldForms old;                   // for secrets(), too
};

// What becomes of a request's body: it goes on as it is, unless another does in its stead or the request is refused.
struct BodyVerdict {
  std::optional<std::string> replacement;
  std::optional<Refused> refused;
};

class RequestGate {
 public:
  static constexpr std::chrono::milliseconds kPatience{120'000};
  static constexpr std::chrono::milliseconds kHeadTime{60'000};

  virtual ~RequestGate() = default;

  // Before anything of a request goes on. What is refused is in the audit log when this returns.
  virtual std::optional<Refused> admit(http::RequestMessage& request, RequestStory& story) = 0;
  // A request that every server must read the same way, and this one they would not.
  virtual Refused refuse_malformed(const std::string& fault, bool json) = 0;
  // A request of which no more than a part of its head has come in head_time(): 408 (RFC 9110, 15.5.9). What asks for
  // it is not known, and so what it prefers to read is not either.
  virtual Refused refuse_slow() { return {408, "the request is slow", "the request is slow\n"}; }
  // The upstream did not answer as it should: 502.
  virtual Refused upstream_failed(const std::string& why, bool json) = 0;
  // A request that was admitted is over.
  virtual void record(const RequestStory& story) = 0;

  // How much each connection of HTTP/2 may hold for a peer that does not read (relay_memory.h).
  virtual std::uint32_t window() const { return http::Http2Limits().connection_window; }

  // Memory for what is held beside that, as long as what this gives lives; null where there is none.
  virtual std::shared_ptr<void> borrow(std::size_t) { return std::make_shared<int>(); }
  // How long is waited for who has no reason to keep us waiting: a guest that does not take the rest of an answer whose
  // upstream is gone, an upstream that goes on answering a request which turned out to be none.
  virtual std::chrono::milliseconds patience() const { return kPatience; }

  // From the first byte of a request's head over HTTP/1 to its last.
  virtual std::chrono::milliseconds head_time() const { return kHeadTime; }

  // ---- the connection to the upstream

  // It was another guest's connection's before (upstream_pool.h): it may have ended, and nobody could see it yet.
  virtual bool upstream_is_reused() const { return false; }
  // A new one in its stead, or why none can be had: upstream_failed() is to be told. The old one is gone in either
  // case.
  using Replacement = tl::expected<Stream*, std::string>;
  // Whether one may be had at all.
  virtual bool can_replace_upstream() const { return false; }
  // The connection is over, and no other is wanted before the next request.
  virtual void drop_upstream() {}
  static Replacement no_upstream(std::string why) { return tl::unexpected(std::move(why)); }
  virtual asio::awaitable<Replacement> replace_upstream() { co_return no_upstream("there is no other upstream"); }
  // It was cut off within a response: what the guest has got of that must not look like the whole.
  virtual void break_off() {}
  // For requests that go side by side where the upstream takes one at a time on a connection: a gate for one of them,
  // with a connection of its own; null where there may be no more. Must not be called for what a lane has given.
  virtual std::unique_ptr<RequestGate> open_lane() { return nullptr; }
  // The request that there is none for, or no memory.
  virtual Refused no_room(const http::RequestMessage&) { return {503, "no room", "no room\n"}; }
  // The lane's, where there is one at hand.
  virtual Stream* upstream() { return nullptr; }
  // What is known of the connection from its last use, where it speaks HTTP/2; nothing: it is new.
  virtual std::optional<http::Http2Session> take_session() { return std::nullopt; }
  // The same for its next use.
  virtual void leave_session(http::Http2Session) {}
  // The relay is over, and the connection stands between two requests. With HTTP/2, its session is left, too.
  virtual void leave_upstream_clean() {}

  // ---- what the guest does not hold: only a host with a credential swap has these do anything

  // An admitted request wants a credential that is not at hand: to be obtained first, once for all that wait.
  virtual bool lacks_credential(const http::RequestMessage&) { return false; }
  virtual asio::awaitable<void> obtain_credential() { co_return; }
  // Puts it into an admitted request, or says why that one goes nowhere.
  virtual std::optional<Refused> equip(http::RequestMessage&, RequestStory&) { return std::nullopt; }
  // Something in the body of an equipped request may have to be replaced: so much of it as http::kMaxSwappedBody is
  // gathered first, and then judged, with or without its `whole`.
  virtual bool rewrites_body(const http::RequestMessage&) { return false; }
  virtual BodyVerdict rewrite_body(const http::RequestMessage&, std::string_view, bool, RequestStory&) { return {}; }
  // There is no memory to gather it, or to look a response through.
  virtual Refused lacks_memory(bool) { return {503, "there is no memory", "there is no memory\n"}; }
  // What no response to this request may show; null where there is nothing.
  virtual http::SecretFormsPtr secrets(const RequestStory&) { return nullptr; }
};

}  // namespace microagent::mediator

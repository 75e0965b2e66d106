// The connection to the upstream, and the one that takes its place.

#include <utility>

#include "mediator/relay_http1_impl.h"

namespace microagent::mediator {

// The upstream has ended, or what it says is the answer to nothing (RFC 9112, 6.3): asked before a request goes out.
bool Http1Relay::has_spoken() { return upstream_in_->try_fill().has_value(); }

// Over the upstream's connection, or over another one as long as nothing was asked on this one that may not be asked
// twice. Empty when the head is out.
asio::awaitable<std::string> Http1Relay::send_head(const http::RequestMessage& request, const std::string& head) {
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
asio::awaitable<bool> Http1Relay::is_answered(const std::string& head) {
  co_return co_await upstream_->write_all(text_bytes(head), kNever) && co_await upstream_in_->fill(kNever);
}

// Empty when there is another.
asio::awaitable<std::string> Http1Relay::replace_upstream() {
  upstream_in_.reset();
  upstream_ = nullptr;
  fresh_ = true;
  const auto stream = co_await gate_.replace_upstream();
  if (!stream) co_return stream.error();
  upstream_ = *stream;
  upstream_in_.emplace(*upstream_);
  co_return "";
}

bool Http1Relay::knows_trouble() const { return trouble_ != nullptr && !trouble_->empty(); }

// With these a connection, and not each request, knows who speaks on it (RFC 4559, 6).
bool Http1Relay::binds_connection(const http::HeaderList& headers, std::string_view name) {
  return http::names_scheme(headers, name, "ntlm") || http::names_scheme(headers, name, "negotiate");
}

}  // namespace microagent::mediator

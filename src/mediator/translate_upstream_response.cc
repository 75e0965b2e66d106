// From the upstream to the relay of HTTP/1: what comes on a stream becomes a response.

#include <utility>

#include "http/http2_message.h"
#include "http/websocket.h"
#include "mediator/translate_upstream_impl.h"

namespace microagent::mediator {
namespace {

using http::Framing;

constexpr std::size_t kMaxInterimAhead = 64 * 1024;  // of a response, that the guest has not taken

}  // namespace

void Http2Upstream::on_headers(StreamId stream, http::HeaderList fields, bool end) {
  if (!is_current(stream)) return;
  trial_.end();
  http::ResponseMessage response;
  if (const auto fault = http::parse_http2_response(fields, response); fault != http::MessageFault::none) {
    link_->end_later(stream, Http2Error::protocol_error);
    return fail("the upstream's response: " + std::string(to_string(fault)));
  }
  exchange_->begun = true;
  const bool opens = !exchange_->request.protocol.empty() && response.status / 100 == 2;
  if (opens) begin_tunnel(std::move(response));
  else begin_response(response, end);
  if (end) end_response({});
  tell();
}

// There may be any number of them, and no window holds them back: a guest that does not read them misses some.
void Http2Upstream::on_informational(StreamId stream, http::HeaderList fields) {
  trial_.end();
  http::ResponseMessage response;
  if (!is_current(stream) || exchange_->request.version == http::Version::http_1_0) return;
  if (out_.size() > kMaxInterimAhead) return;
  if (parse_http2_response(fields, response) != http::MessageFault::none) return;
  append(encode_head(as_http1(response, exchange_->request, false)));
  tell();
}

void Http2Upstream::on_data(StreamId stream, ByteView bytes, bool end) {
  if (!is_current(stream)) return link_->session().consume(stream, bytes.size());
  if (exchange_->tunnels) out_.insert(out_.end(), bytes.begin(), bytes.end());
  else if (exchange_->body) exchange_->body->append(out_, bytes);
  unconsumed_ += bytes.size();
  if (end) end_response({});
  tell();
}

void Http2Upstream::on_trailers(StreamId stream, http::HeaderList fields) {
  if (!is_current(stream)) return;
  end_response(fields);
  tell();
}

void Http2Upstream::on_reset(StreamId stream, Http2Error error) {
  if (!is_current(stream) || exchange_->ended) return;
  exchange_->refused = error == Http2Error::refused_stream;
  if (!exchange_->refused) trial_.end();
  fail("the upstream reset the stream: " + std::string(to_string(error)));
}

void Http2Upstream::on_closed(StreamId stream) {
  if (is_current(stream) && !exchange_->ended) fail("the upstream ended the stream");
}

// To the relay; what has been given may be followed by as much.
asio::awaitable<void> Http2Upstream::give_response(Stream& relay) {
  for (;;) {
    if (!out_.empty() || unconsumed_ > 0) {
      const auto out = std::exchange(out_, {});
      const std::size_t came = std::exchange(unconsumed_, 0);
      const bool given = out.empty() || co_await relay.write_all(out, kNever);
      link_->session().consume(exchange_->stream, came);
      on_turn();
      if (!given) co_return drop();
      continue;
    }
    if (exchange_->ended || exchange_->failed) co_return;
    if (gone_) co_return fail("the upstream ended the connection");
    if (!co_await has_news(kNever)) co_return;
  }
}

void Http2Upstream::begin_response(const http::ResponseMessage& response, bool end) {
  const http::ResponseMessage message = as_http1(response, exchange_->request, !end);
  append(encode_head(message));
  const Framing::Kind kind = response_framing(exchange_->request, message).kind;
  if (kind != Framing::Kind::none) exchange_->body.emplace(message.headers);
}

// RFC 8441 leaves out what HTTP/1.1 wants to see.
void Http2Upstream::begin_tunnel(http::ResponseMessage response) {
  const http::RequestMessage& request = exchange_->request;
  response.version = http::Version::http_1_1;
  response.status = 101;
  response.reason = http::reason_phrase(response.status);
  for (const char* name : {"content-length", "sec-websocket-accept"}) http::remove_header(response.headers, name);
  response.headers.push_back({"connection", "Upgrade"});
  response.headers.push_back({"upgrade", "websocket"});
  const std::string key(header_value(request.headers, "sec-websocket-key"));
  response.headers.push_back({"sec-websocket-accept", http::websocket_accept(key)});
  append(encode_head(response));
  exchange_->tunnels = true;
}

void Http2Upstream::end_response(const http::HeaderList& trailers) {
  if (exchange_->body) exchange_->body->finish(out_, trailers);
  exchange_->ended = true;
}

void Http2Upstream::append(const std::string& text) { out_.insert(out_.end(), text.begin(), text.end()); }

}  // namespace microagent::mediator

// What the peer's frames are to the session's owner, until the end of their streams.

#include <cstring>

#include "http/http2_session_impl.h"

namespace microagent::http {
namespace {

constexpr std::size_t kFieldOverhead = 32;  // RFC 9113, 6.5.2

}  // namespace

void Http2Session::Impl::open(StreamId id) {
  // The peer will hear that this one was not looked at.
  if (own_goaway_ && role_ == Role::server && id > last_taken_) return;
  const auto [at, is_new] = streams_.try_emplace(id);
  if (is_new) ++open_;
  at->second.fields.clear();
  at->second.fields_size = 0;
}

int Http2Session::Impl::on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value,
                                  bool never_index) {
  const auto at = streams_.find(frame.hd.stream_id);
  if (at == streams_.end()) return 0;
  Http2Stream& stream = at->second;
  stream.fields_size += name.size() + value.size() + kFieldOverhead;
  if (stream.fields_size > limits_.max_header_list) return break_limit(Http2Limit::header_list);
  stream.fields.push_back({std::string(name), std::string(value), never_index});
  return 0;
}

void Http2Session::Impl::on_frame(const nghttp2_frame& frame) {
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  const bool ack = (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS: return on_header_frame(frame.hd.stream_id, end);
    case NGHTTP2_DATA:
      if (Http2Stream* stream = end ? live(frame.hd.stream_id) : nullptr) {
        stream->peer_ended = true;
        events_->on_data(frame.hd.stream_id, {}, true);
      }
      return;
    case NGHTTP2_SETTINGS:
      if (ack) return;
      has_peer_settings_ = true;
      return events_->on_settings();
    case NGHTTP2_GOAWAY:
      peer_goaway_ = true;
      return events_->on_goaway(frame.goaway.last_stream_id, Http2Error{frame.goaway.error_code});
    case NGHTTP2_PING: {
      if (!ack) return;
      be64 token;
      std::memcpy(&token, frame.ping.opaque_data, sizeof token);
      return events_->on_pong(token);
    }
    default: return;
  }
}

void Http2Session::Impl::on_header_frame(StreamId id, bool end) {
  Http2Stream* stream = live(id);
  if (stream == nullptr) return;
  HeaderList fields = std::move(stream->fields);
  stream->fields = {};
  if (end) stream->peer_ended = true;
  const std::string_view status = header_value(fields, ":status");
  if (status.starts_with('1')) return events_->on_informational(id, std::move(fields));
  if (!status.empty() || find_header(fields, ":method") != nullptr)
    return events_->on_headers(id, std::move(fields), end);
  events_->on_trailers(id, std::move(fields));
}

void Http2Session::Impl::on_data(StreamId id, ByteView bytes) {
  Http2Stream* stream = live(id);
  if (stream == nullptr) {
    nghttp2_session_consume(session_, id, bytes.size());
    return;
  }
  stream->unconsumed += bytes.size();
  events_->on_data(id, bytes, false);
}

// ---- the end of streams

void Http2Session::Impl::on_stream_close(StreamId id, std::uint32_t code) {
  const auto at = streams_.find(id);
  if (at != streams_.end() && !at->second.closed) close(id, Http2Error{code});
}

void Http2Session::Impl::close(StreamId id, Http2Error code) {
  Http2Stream& stream = streams_.at(id);
  const bool whole = code == Http2Error::no_error && stream.peer_ended && stream.own_ended;
  stream.closed = true;
  stream.queue = {};
  stream.queue_at = 0;
  stream.fields = {};
  --open_;
  const bool dropped = stream.dropped;
  if (!whole) credit_all(id, stream);
  if (stream.unconsumed == 0) streams_.erase(id);
  if (!whole && !dropped) events_->on_reset(id, code);
  events_->on_closed(id);
}

void Http2Session::Impl::credit_all(StreamId id, Http2Stream& stream) {
  if (stream.unconsumed > 0) nghttp2_session_consume(session_, id, stream.unconsumed);
  stream.unconsumed = 0;
}

}  // namespace microagent::http

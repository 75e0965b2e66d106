// What the session's owner has it send, and how that goes out.

#include <algorithm>
#include <cstring>
#include <utility>

#include "http/http2_session_impl.h"

namespace microagent::http {
namespace {

constexpr unsigned kFramesInTurn = 2;
constexpr unsigned kMaxInterim = 8;                  // responses of a stream, waiting to be sent
constexpr std::size_t kMaxInterimBytes = 64 * 1024;  // of all streams, before another

// Of the frame's fields, where it is an interim response.
std::size_t interim_size(const nghttp2_frame& frame) {
  const nghttp2_nv* fields = frame.headers.nva;
  if (frame.headers.nvlen == 0 || fields->valuelen == 0 || fields->value[0] != '1') return 0;
  if (std::string_view(reinterpret_cast<const char*>(fields->name), fields->namelen) != ":status") return 0;
  std::size_t size = 0;
  for (std::size_t index = 0; index < frame.headers.nvlen; ++index)
    size += fields[index].namelen + fields[index].valuelen;
  return size;
}

}  // namespace

// ---- actions

std::optional<StreamId> Http2Session::Impl::submit_request(const HeaderList& fields, bool end) {
  if (!may_open() || !is_sendable(fields)) return std::nullopt;
  const std::vector<nghttp2_nv> all = as_nv(fields);
  const nghttp2_data_provider body = provider();
  const std::int32_t id =
      nghttp2_submit_request(session_, nullptr, all.data(), all.size(), end ? nullptr : &body, nullptr);
  if (id < 0) return std::nullopt;
  open(id);
  Http2Stream& stream = streams_.at(id);
  stream.answered = true;
  stream.ends = end;
  flood_.on_request_sent();
  return id;
}

bool Http2Session::Impl::submit_head(StreamId id, const HeaderList& fields, bool end) {
  Http2Stream* stream = live(id);
  if (stream == nullptr || stream->answered || role_ != Role::server || !is_sendable(fields)) return false;
  const std::vector<nghttp2_nv> all = as_nv(fields);
  const nghttp2_data_provider body = provider();
  if (nghttp2_submit_response(session_, id, all.data(), all.size(), end ? nullptr : &body) != 0) return false;
  stream->answered = true;
  stream->ends = end;
  // Without a say of the client's nghttp2 sends one stream after the other; all are to go on at once.
  nghttp2_extpri priority{NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
  nghttp2_session_change_extpri_stream_priority(session_, id, &priority, 1);
  return true;
}

// There may be any number of them, and no window holds them back: a client that does not read them misses some.
bool Http2Session::Impl::submit_interim(StreamId id, const HeaderList& fields) {
  Http2Stream* stream = live(id);
  if (stream == nullptr || stream->answered || role_ != Role::server || !is_sendable(fields)) return false;
  if (stream->interim >= kMaxInterim || interim_bytes_ > kMaxInterimBytes) return true;
  const std::vector<nghttp2_nv> all = as_nv(fields);
  const auto flags = NGHTTP2_FLAG_NONE;
  if (nghttp2_submit_headers(session_, flags, id, nullptr, all.data(), all.size(), nullptr) != 0) return false;
  ++stream->interim;
  for (const Header& field : fields) interim_bytes_ += field.name.size() + field.value.size();
  return true;
}

bool Http2Session::Impl::send_data(StreamId id, ByteView bytes, bool end) {
  Http2Stream* stream = live(id);
  if (stream == nullptr || !stream->answered || stream->ends || stream->queued() + bytes.size() > kMaxQueued) {
    return false;
  }
  if (stream->queue_at > kMaxQueued / 2) {
    stream->queue.erase(stream->queue.begin(), stream->queue.begin() + static_cast<std::ptrdiff_t>(stream->queue_at));
    stream->queue_at = 0;
  }
  stream->queue.insert(stream->queue.end(), bytes.begin(), bytes.end());
  stream->ends = end;
  if (stream->deferred && (end || !bytes.empty())) {
    stream->deferred = false;
    nghttp2_session_resume_data(session_, id);
  }
  return true;
}

bool Http2Session::Impl::send_trailers(StreamId id, const HeaderList& fields) {
  Http2Stream* stream = live(id);
  if (stream == nullptr || !stream->answered || stream->ends || !is_sendable(fields)) return false;
  if (!fields.empty()) stream->trailers = fields;
  return send_data(id, {}, true);
}

void Http2Session::Impl::consume(StreamId id, std::size_t bytes) {
  const auto at = streams_.find(id);
  if (at == streams_.end()) return;
  const std::size_t size = std::min(bytes, at->second.unconsumed);
  at->second.unconsumed -= size;
  if (size > 0) nghttp2_session_consume(session_, id, size);
  if (at->second.closed && at->second.unconsumed == 0) streams_.erase(at);
}

void Http2Session::Impl::reset(StreamId id, Http2Error error) {
  Http2Stream* stream = live(id);
  if (stream == nullptr) return;
  stream->dropped = true;
  stream->queue = {};
  stream->queue_at = 0;
  credit_all(id, *stream);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(error));
}

void Http2Session::Impl::stop_request(StreamId id, Http2Error error) {
  Http2Stream* stream = live(id);
  if (stream == nullptr) return;
  stream->stops = error;
  if (stream->own_ended) on_own_end(id, *stream);
}

void Http2Session::Impl::goaway(Http2Error error) {
  if (!own_goaway_) last_taken_ = nghttp2_session_get_last_proc_stream_id(session_);
  own_goaway_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_taken_, static_cast<std::uint32_t>(error), nullptr, 0);
}

bool Http2Session::Impl::may_open() const {
  return role_ == Role::client && !failed_ && !own_goaway_ && !peer_goaway_ &&
         nghttp2_session_check_request_allowed(session_) != 0 &&
         open_ < nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

// ---- as it goes out

ssize_t Http2Session::Impl::read_data(StreamId id, MutableBytes out, std::uint32_t& flags) {
  Http2Stream* stream = live(id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const std::size_t size = std::min(out.size(), stream->queued());
  if (size == 0 && !stream->ends) {
    stream->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  // A client's streams are sent one after the other where the server ignores priorities; all are to go on at once.
  if (role_ == Role::client && open_ > 1 && stream->frames_in_turn++ == kFramesInTurn) {
    stream->frames_in_turn = 0;
    yielded_.push_back(id);
    return NGHTTP2_ERR_DEFERRED;
  }
  if (size > 0) std::memcpy(out.data(), stream->queue.data() + stream->queue_at, size);
  stream->queue_at += size;
  if (stream->queued() == 0) {
    stream->queue.clear();
    stream->queue_at = 0;
    if (stream->ends) flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->ends && stream->trailers) {
      flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const std::vector<nghttp2_nv> fields = as_nv(*stream->trailers);
      if (nghttp2_submit_trailer(session_, id, fields.data(), fields.size()) != 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }
  return static_cast<ssize_t>(size);
}

int Http2Session::Impl::on_frame_sent(const nghttp2_frame& frame) {
  const auto at = streams_.find(frame.hd.stream_id);
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA) {
    if (at != streams_.end() && end) on_own_end(at->first, at->second);
  }
  if (frame.hd.type == NGHTTP2_HEADERS) interim_bytes_ -= std::min(interim_bytes_, interim_size(frame));
  if (frame.hd.type == NGHTTP2_HEADERS && at != streams_.end() && at->second.interim > 0) --at->second.interim;
  if (frame.hd.type == NGHTTP2_DATA) {
    flood_.on_data_sent();
    if (frame.hd.length > 0 && live(frame.hd.stream_id) != nullptr) {
      events_->on_sent(frame.hd.stream_id, frame.hd.length);
    }
  }
  if (frame.hd.type == NGHTTP2_GOAWAY && frame.goaway.error_code != NGHTTP2_NO_ERROR && !own_goaway_) {
    says_error_ = true;
  }
  if (frame.hd.type != NGHTTP2_RST_STREAM || (at != streams_.end() && at->second.dropped)) return 0;
  if (at == streams_.end()) {
    const Http2Limit refused = flood_.on_refusal(now_);
    if (refused != Http2Limit::none && limit_ == Http2Limit::none) limit_ = refused;
    return 0;
  }
  // A reset that nobody asked for answers an error of the peer's. The next feed() ends the connection.
  const Http2Limit limit = flood_.on_own_reset(now_);
  if (limit != Http2Limit::none && limit_ == Http2Limit::none) limit_ = limit;
  return 0;
}

void Http2Session::Impl::on_own_end(StreamId id, Http2Stream& stream) {
  stream.own_ended = true;
  if (stream.stops && !stream.peer_ended) to_stop_.push_back(id);
}

// The answer first, and what ends the request in a write of its own: clients that find both in one read, and have more
// to send, take the reset for the end of the answer (curl 7.88).
void Http2Session::Impl::stop_answered() {
  for (const StreamId id : std::exchange(to_stop_, {})) {
    const Http2Stream* stream = live(id);
    if (stream != nullptr && !stream->peer_ended) reset(id, *stream->stops);
  }
}

// A request finds the connection going away; a response may be too long. Either must not be waited for.
void Http2Session::Impl::on_headers_not_sent(const nghttp2_frame& frame) {
  const StreamId id = frame.hd.stream_id;
  interim_bytes_ -= std::min(interim_bytes_, interim_size(frame));
  if (live(id) == nullptr) return;
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) return close(id, Http2Error::refused_stream);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
}

}  // namespace microagent::http

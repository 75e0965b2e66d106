#include "http/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "base/check.h"
#include "http/http2_flood.h"
#include "http/http2_nobody.h"
#include "http/http2_stream.h"

namespace microagent::http {
namespace {

constexpr std::size_t kFieldOverhead = 32;  // RFC 9113, 6.5.2
constexpr std::size_t kMaxSentBlock = 256 * 1024;
constexpr unsigned kFramesInTurn = 2;
constexpr unsigned kMaxInterim = 8;  // responses of a stream, waiting to be sent

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

class Http2Session::Impl {
 public:
  Impl(const Options& options, Http2Events& events);
  ~Impl() { nghttp2_session_del(session_); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  bool feed(ByteView bytes, std::uint64_t now);
  std::size_t take_output(std::vector<std::uint8_t>& out, std::size_t at_least);
  bool submit_head(StreamId id, const HeaderList& fields, bool end);
  std::optional<StreamId> submit_request(const HeaderList& fields, bool end);
  bool send_data(StreamId id, ByteView bytes, bool end);
  bool send_trailers(StreamId id, const HeaderList& fields);
  void consume(StreamId id, std::size_t bytes);
  void reset(StreamId id, Http2Error error);
  void stop_request(StreamId id, Http2Error error);
  bool submit_interim(StreamId id, const HeaderList& fields);
  void goaway(Http2Error error);
  bool may_open() const;

  // A stream on which there may be actions; nullptr when there is none.
  Http2Stream* live(StreamId id) {
    const auto at = streams_.find(id);
    return at == streams_.end() || at->second.closed || at->second.dropped ? nullptr : &at->second;
  }

  const Role role_;
  const Http2Limits limits_;
  Http2Events* events_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<StreamId, Http2Stream> streams_;
  std::size_t open_ = 0;
  Http2Limit limit_ = Http2Limit::none;
  bool is_broken_ = false;
  bool own_goaway_ = false, peer_goaway_ = false, has_peer_settings_ = false, offers_connect_ = false;

 private:
  static Impl& self(void* user) { return *static_cast<Impl*>(user); }
  static nghttp2_session_callbacks* make_callbacks();

  int on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value, bool never_index);
  void on_frame(const nghttp2_frame& frame);
  void on_header_frame(StreamId id, bool end);
  void on_data(StreamId id, ByteView bytes);
  int on_frame_sent(const nghttp2_frame& frame);
  void on_own_end(StreamId id, Http2Stream& stream);
  void on_headers_not_sent(const nghttp2_frame& frame);
  void on_stream_close(StreamId id, std::uint32_t code);
  ssize_t read_data(StreamId id, MutableBytes out, std::uint32_t& flags);

  void open(StreamId id);
  void close(StreamId id, Http2Error code);
  void credit_all(StreamId id, Http2Stream& stream);
  int break_limit(Http2Limit limit);
  void end_all();
  bool resume_yielded();
  nghttp2_data_provider provider() {
    nghttp2_data_provider provider{};
    provider.source.ptr = this;
    provider.read_callback = [](nghttp2_session*, std::int32_t id, std::uint8_t* buffer, std::size_t size,
                                std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
      return self(source->ptr).read_data(id, {buffer, size}, *flags);
    };
    return provider;
  }

  Http2Flood flood_;
  std::uint64_t now_ = 0;
  bool failed_ = false, says_error_ = false;
  StreamId last_taken_ = 0;  // of the peer's, after goaway()
  std::vector<StreamId> yielded_;
};

// ---- set-up

nghttp2_session_callbacks* Http2Session::Impl::make_callbacks() {
  nghttp2_session_callbacks* callbacks = nullptr;
  MICROAGENT_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks,
                                                          [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                                                            self(user).open(frame->hd.stream_id);
                                                            return 0;
                                                          });
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t flags, void* user) {
        return self(user).on_header(*frame, text_of(name, name_size), text_of(value, value_size),
                                    (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
                                                       [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                                                         self(user).on_frame(*frame);
                                                         return 0;
                                                       });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks,
      [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size, void* user) {
        self(user).on_data(id, {data, size});
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_send_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame* frame, void* user) { return self(user).on_frame_sent(*frame); });
  nghttp2_session_callbacks_set_on_frame_not_send_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
        if (frame->hd.type == NGHTTP2_HEADERS) self(user).on_headers_not_sent(*frame);
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
        self(user).on_stream_close(id, code);
        return 0;
      });
  return callbacks;
}

Http2Session::Impl::Impl(const Options& options, Http2Events& events)
    : role_(options.role),
      limits_(options.limits),
      events_(&events),
      flood_(options.limits, options.role == Role::server) {
  nghttp2_option* option = nullptr;
  MICROAGENT_CHECK(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, kMaxSentBlock);
  nghttp2_option_set_max_outbound_ack(option, limits_.max_outbound_acks);
  nghttp2_option_set_max_continuations(option, limits_.max_continuations);
  nghttp2_session_callbacks* callbacks = make_callbacks();
  const bool server = role_ == Role::server;
  MICROAGENT_CHECK((server ? nghttp2_session_server_new2(&session_, callbacks, this, option)
                           : nghttp2_session_client_new2(&session_, callbacks, this, option)) == 0);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);

  std::vector<nghttp2_settings_entry> settings{
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.max_header_list},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  if (server) {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.max_streams});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  }
  offers_connect_ = server && options.connect_protocol;
  if (offers_connect_) settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
  MICROAGENT_CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  MICROAGENT_CHECK(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                                         static_cast<std::int32_t>(limits_.connection_window)) == 0);
}

// ---- bytes

bool Http2Session::Impl::feed(ByteView bytes, std::uint64_t now) {
  if (failed_) return false;
  now_ = now;
  if (limit_ == Http2Limit::none) limit_ = flood_.on_bytes(bytes, now);
  if (limit_ == Http2Limit::none) {
    const ssize_t taken = nghttp2_session_mem_recv(session_, bytes.data(), bytes.size());
    if (taken < 0 && limit_ == Http2Limit::none) limit_ = limit_of(taken);
    // Resets of streams that were refused, for one, are counted by nobody else while the peer does not read.
    const std::size_t waiting = nghttp2_session_get_outbound_queue_size(session_);
    if (limit_ == Http2Limit::none && waiting > limits_.max_outbound) limit_ = Http2Limit::unread_output;
  }
  // nghttp2 has ended the connection by itself.
  if (limit_ == Http2Limit::none && nghttp2_session_want_read(session_) == 0 && !own_goaway_ && !peer_goaway_) {
    limit_ = Http2Limit::protocol;
  }
  if (limit_ == Http2Limit::none) return true;
  failed_ = true;
  // Of the two errors that nghttp2 may have put into a GOAWAY already, this adds nothing.
  nghttp2_session_terminate_session(
      session_, limit_ == Http2Limit::protocol ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_ENHANCE_YOUR_CALM);
  end_all();
  return false;
}

std::size_t Http2Session::Impl::take_output(std::vector<std::uint8_t>& out, std::size_t at_least) {
  const std::size_t before = out.size();
  while (out.size() - before < at_least) {
    const std::uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    const bool has_yielded = resume_yielded();
    if (size < 0) is_broken_ = says_error_ = true;  // out of memory: nothing can be sent any more
    if (size < 0 || (size == 0 && !has_yielded)) break;
    out.insert(out.end(), data, data + size);
  }
  // nghttp2 found the peer's error, and the GOAWAY that says so is in the output.
  if (says_error_ && !failed_) {
    failed_ = true;
    if (limit_ == Http2Limit::none) limit_ = Http2Limit::protocol;
    end_all();
  }
  return out.size() - before;
}

// Streams that gave way to others are up again.
bool Http2Session::Impl::resume_yielded() {
  if (yielded_.empty()) return false;
  for (const StreamId id : yielded_) nghttp2_session_resume_data(session_, id);
  yielded_.clear();
  return true;
}

int Http2Session::Impl::break_limit(Http2Limit limit) {
  if (limit_ == Http2Limit::none) limit_ = limit;
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

// The connection failed: every stream hears of it once.
void Http2Session::Impl::end_all() {
  std::vector<StreamId> ids;
  for (const auto& [id, stream] : streams_) {
    if (!stream.closed) ids.push_back(id);
  }
  std::ranges::sort(ids);
  const Http2Error error = limit_ == Http2Limit::protocol ? Http2Error::protocol_error : Http2Error::enhance_your_calm;
  for (const StreamId id : ids) close(id, error);
}

// ---- what the peer sends

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

// ---- what goes out

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
  if (stream.stops && !stream.peer_ended) reset(id, *stream.stops);
}

// A request finds the connection going away; a response may be too long. Either must not be waited for.
void Http2Session::Impl::on_headers_not_sent(const nghttp2_frame& frame) {
  const StreamId id = frame.hd.stream_id;
  if (live(id) == nullptr) return;
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) return close(id, Http2Error::refused_stream);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
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
  if (stream->interim >= kMaxInterim) return true;
  const std::vector<nghttp2_nv> all = as_nv(fields);
  const auto flags = NGHTTP2_FLAG_NONE;
  if (nghttp2_submit_headers(session_, flags, id, nullptr, all.data(), all.size(), nullptr) != 0) return false;
  ++stream->interim;
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

// ---- the public face

Http2Session::Http2Session(const Options& options, Http2Events& events)
    : impl_(std::make_unique<Impl>(options, events)) {}
Http2Session::~Http2Session() = default;
Http2Session::Http2Session(Http2Session&&) noexcept = default;
Http2Session& Http2Session::operator=(Http2Session&&) noexcept = default;

void Http2Session::attach(Http2Events& events) { impl_->events_ = &events; }
void Http2Session::detach() { impl_->events_ = &http2_nobody(); }
std::uint32_t Http2Session::connection_window() const { return impl_->limits_.connection_window; }
bool Http2Session::feed(ByteView bytes, std::uint64_t now) { return impl_->feed(bytes, now); }
std::size_t Http2Session::take_output(std::vector<std::uint8_t>& out, std::size_t at_least) {
  return impl_->take_output(out, at_least);
}
bool Http2Session::wants_write() const {
  return !impl_->is_broken_ && nghttp2_session_want_write(impl_->session_) != 0;
}
bool Http2Session::is_finished() const {
  return !wants_write() && (impl_->is_broken_ || nghttp2_session_want_read(impl_->session_) == 0);
}
Http2Limit Http2Session::hit_limit() const { return impl_->limit_; }
bool Http2Session::may_open() const { return impl_->may_open(); }
std::size_t Http2Session::open_streams() const { return impl_->open_; }
std::optional<StreamId> Http2Session::submit_request(const HeaderList& fields, bool end) {
  return impl_->submit_request(fields, end);
}
bool Http2Session::submit_informational(StreamId stream, const HeaderList& fields) {
  return impl_->submit_interim(stream, fields);
}
bool Http2Session::submit_response(StreamId stream, const HeaderList& fields, bool end) {
  return impl_->submit_head(stream, fields, end);
}
bool Http2Session::send_data(StreamId stream, ByteView bytes, bool end) { return impl_->send_data(stream, bytes, end); }
bool Http2Session::send_trailers(StreamId stream, const HeaderList& fields) {
  return impl_->send_trailers(stream, fields);
}
std::size_t Http2Session::queued(StreamId stream) const {
  const Http2Stream* live = impl_->live(stream);
  return live == nullptr ? 0 : live->queued();
}
void Http2Session::consume(StreamId stream, std::size_t bytes) { impl_->consume(stream, bytes); }
void Http2Session::reset(StreamId stream, Http2Error error) { impl_->reset(stream, error); }
void Http2Session::stop_request(StreamId stream, Http2Error error) { impl_->stop_request(stream, error); }
void Http2Session::announce_shutdown() { nghttp2_submit_shutdown_notice(impl_->session_); }
void Http2Session::goaway(Http2Error error) { impl_->goaway(error); }
void Http2Session::terminate(Http2Error error) {
  impl_->own_goaway_ = true;
  nghttp2_session_terminate_session(impl_->session_, static_cast<std::uint32_t>(error));
}
void Http2Session::ping(std::uint64_t token) {
  const be64 wire = token;
  nghttp2_submit_ping(impl_->session_, NGHTTP2_FLAG_NONE, bytes_of(wire).data());
}
void Http2Session::offer_connect_protocol() {
  if (impl_->role_ != Role::server || impl_->offers_connect_) return;
  impl_->offers_connect_ = true;
  const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
  nghttp2_submit_settings(impl_->session_, NGHTTP2_FLAG_NONE, &entry, 1);
}
bool Http2Session::peer_takes_connect_protocol() const {
  return nghttp2_session_get_remote_settings(impl_->session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}
bool Http2Session::has_peer_settings() const { return impl_->has_peer_settings_; }

}  // namespace microagent::http

#include <algorithm>

#include "base/check.h"
#include "http/http2_nobody.h"
#include "http/http2_session_impl.h"

namespace microagent::http {
namespace {

constexpr std::size_t kMaxSentBlock = 256 * 1024;

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

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
  stop_answered();
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
  return !impl_->is_broken_ && (nghttp2_session_want_write(impl_->session_) != 0 || !impl_->to_stop_.empty());
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

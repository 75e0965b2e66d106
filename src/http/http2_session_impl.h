#pragma once

// Http2Session as a session of nghttp2 and what that does not keep: the streams' queues, what of their data has not
// gone on, and the counts that end a flood. http2_session_in.cc has what comes of the peer's frames,
// http2_session_out.cc what this side sends.

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "http/headers.h"
#include "http/http2_flood.h"
#include "http/http2_limits.h"
#include "http/http2_session.h"
#include "http/http2_stream.h"

namespace microagent::http {

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
  std::vector<StreamId> to_stop_;  // answered, while their requests go on
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
  void stop_answered();
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
  std::size_t interim_bytes_ = 0;  // of responses that are not out yet
};

}  // namespace microagent::http

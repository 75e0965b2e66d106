#pragma once

// The first request of an HTTP/2 connection without TLS (RFC 9113, 3.3), read for whom it is for. nghttp2 undoes the
// header compression; the frames in front of the first HEADERS are walked over here.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/request_head.h"

namespace microagent::http {

enum class Http2Fault : std::uint8_t {
  none,
  not_http2,   // another preface
  too_long,    // no whole request within kMaxHead
  bad_frame,   // a frame that may not stand there, or of a size it cannot have
  bad_header,  // compression that does not undo, a pseudo-header twice, unknown or in the wrong place
  no_host,
  bad_host,
  host_differs,  // Host is another than :authority
};
std::string_view to_string(Http2Fault fault);

class Http2HeadReader {
 public:
  enum class State : std::uint8_t { incomplete, complete, failed };

  Http2HeadReader();
  ~Http2HeadReader();
  Http2HeadReader(Http2HeadReader&&) noexcept;
  Http2HeadReader& operator=(Http2HeadReader&&) noexcept;

  // Bytes behind the first request's headers are left alone. Calls after the state is settled change nothing.
  State feed(ByteView bytes);

  State state() const { return state_; }
  const RequestHead& head() const { return head_; }  // once complete
  Http2Fault fault() const { return fault_; }        // once failed
  // The preface stands whole. Clients may send no request before they have the server's settings.
  bool has_preface() const { return has_preface_; }

 private:
  class Headers;
  struct Frame;

  bool take_preface();
  bool take_frame();
  bool take_headers(const Frame& frame);
  bool take_continuation(const Frame& frame);
  bool take_block(ByteView block, bool last);
  bool finish();
  bool fail(Http2Fault fault);

  State state_ = State::incomplete;
  Http2Fault fault_ = Http2Fault::none;
  std::vector<std::uint8_t> buffer_;
  std::size_t taken_ = 0;  // of the buffer
  bool has_preface_ = false;
  bool has_settings_ = false;
  std::uint32_t headers_stream_ = 0;  // whose header block goes on; 0: none
  std::unique_ptr<Headers> headers_;
  RequestHead head_;
};

}  // namespace microagent::http

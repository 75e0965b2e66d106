#include "http/http2_head.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "base/check.h"

namespace microagent::http {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kMaxFrame = 16 * 1024;  // what a server takes before it says otherwise (RFC 9113, 4.2)

constexpr std::uint8_t kEndHeaders = 0x4, kPadded = 0x8, kPriority = 0x20, kAck = 0x1;

struct FrameHead {
  std::uint8_t length[3];
  std::uint8_t type;
  std::uint8_t flags;
  be32 stream;
};
static_assert(sizeof(FrameHead) == 9 && alignof(FrameHead) == 1);

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

bool has_upper_case(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

struct Http2HeadReader::Frame {
  std::uint8_t type = 0, flags = 0;
  std::uint32_t stream = 0;
  ByteView payload;
};

// One header block: undone, and its fields collected.
class Http2HeadReader::Headers {
 public:
  Headers() { MICROAGENT_CHECK(nghttp2_hd_inflate_new(&inflater_) == 0); }
  ~Headers() { nghttp2_hd_inflate_del(inflater_); }
  Headers(const Headers&) = delete;
  Headers& operator=(const Headers&) = delete;

  // False when the block is not one.
  bool take(ByteView block, bool last) {
    for (;;) {
      nghttp2_nv field{};
      int flags = 0;
      const ssize_t used = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, block.data(), block.size(), last ? 1 : 0);
      if (used < 0) return false;
      block = block.subspan(static_cast<std::size_t>(used));
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 &&
          !take_field(text_of(field.name, field.namelen), text_of(field.value, field.valuelen))) {
        return false;
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) return nghttp2_hd_inflate_end_headers(inflater_) == 0;
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && block.empty()) return !last;
    }
  }

  std::optional<std::string> method, scheme, path, authority, host;
  bool wants_json = false;

 private:
  bool take_field(std::string_view name, std::string_view value) {
    if (name.empty() || has_upper_case(name)) return false;
    if (name.front() != ':') {
      regular_ = true;
      if (name == "accept") wants_json = value.starts_with("application/json");
      return name != "host" || once(host, value);
    }
    if (regular_) return false;
    if (name == ":method") return once(method, value);
    if (name == ":scheme") return once(scheme, value);
    if (name == ":path") return once(path, value);
    return name == ":authority" && once(authority, value);
  }

  static bool once(std::optional<std::string>& field, std::string_view value) {
    if (field) return false;
    field = value;
    return true;
  }

  nghttp2_hd_inflater* inflater_ = nullptr;
  bool regular_ = false;
};

std::string_view to_string(Http2Fault fault) {
  switch (fault) {
    case Http2Fault::none: return "nothing wrong";
    case Http2Fault::not_http2: return "no HTTP/2";
    case Http2Fault::too_long: return "a request that is too long";
    case Http2Fault::bad_frame: return "a frame that may not stand before the first request";
    case Http2Fault::bad_header: return "a header block that is none";
    case Http2Fault::no_host: return "neither :authority nor Host";
    case Http2Fault::bad_host: return "an :authority that is no host name";
    case Http2Fault::host_differs: return "a Host that differs from :authority";
  }
  return "unknown";
}

Http2HeadReader::Http2HeadReader() = default;
Http2HeadReader::~Http2HeadReader() = default;
Http2HeadReader::Http2HeadReader(Http2HeadReader&&) noexcept = default;
Http2HeadReader& Http2HeadReader::operator=(Http2HeadReader&&) noexcept = default;

Http2HeadReader::State Http2HeadReader::feed(ByteView bytes) {
  if (state_ != State::incomplete) return state_;
  const std::size_t count = std::min(bytes.size(), kMaxHead - buffer_.size());
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  if (has_preface_ || take_preface()) {
    while (state_ == State::incomplete && take_frame()) {
    }
  }
  if (state_ == State::incomplete && count < bytes.size()) fail(Http2Fault::too_long);
  return state_;
}

bool Http2HeadReader::take_preface() {
  const std::string_view begin = text_of(buffer_.data(), std::min(buffer_.size(), kPreface.size()));
  if (!kPreface.starts_with(begin)) return fail(Http2Fault::not_http2);
  if (begin.size() < kPreface.size()) return false;
  taken_ = kPreface.size();
  has_preface_ = true;
  return true;
}

// False when there is no whole frame yet, or nothing more to do.
bool Http2HeadReader::take_frame() {
  Reader reader(ByteView(buffer_).subspan(taken_));
  FrameHead head;
  if (!reader.read(head)) return false;
  const std::size_t length = static_cast<std::size_t>(head.length[0] << 16 | head.length[1] << 8 | head.length[2]);
  if (length > kMaxFrame) return fail(Http2Fault::bad_frame);
  Frame frame{head.type, head.flags, head.stream & 0x7fff'ffffU, {}};
  if (!reader.take(length, frame.payload)) return false;
  taken_ += sizeof head + length;

  if (headers_stream_ != 0) return take_continuation(frame);
  if (!has_settings_) {
    has_settings_ = frame.type == NGHTTP2_SETTINGS && frame.stream == 0 && (frame.flags & kAck) == 0;
    return has_settings_ || fail(Http2Fault::bad_frame);
  }
  switch (frame.type) {
    case NGHTTP2_HEADERS: return take_headers(frame);
    case NGHTTP2_DATA:
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_PUSH_PROMISE:
    case NGHTTP2_GOAWAY:
    case NGHTTP2_CONTINUATION: return fail(Http2Fault::bad_frame);
    default: return true;  // settings, priorities, window updates, pings, and types that must be passed over
  }
}

bool Http2HeadReader::take_headers(const Frame& frame) {
  if (frame.stream % 2 == 0) return fail(Http2Fault::bad_frame);
  Reader reader(frame.payload);
  std::uint8_t padding = 0;
  if ((frame.flags & kPadded) != 0 && !reader.read(padding)) return fail(Http2Fault::bad_frame);
  if ((frame.flags & kPriority) != 0 && !reader.skip(5)) return fail(Http2Fault::bad_frame);
  if (padding > reader.left()) return fail(Http2Fault::bad_frame);
  headers_ = std::make_unique<Headers>();
  headers_stream_ = frame.stream;
  return take_block(reader.rest().first(reader.left() - padding), (frame.flags & kEndHeaders) != 0);
}

bool Http2HeadReader::take_continuation(const Frame& frame) {
  if (frame.type != NGHTTP2_CONTINUATION || frame.stream != headers_stream_) return fail(Http2Fault::bad_frame);
  return take_block(frame.payload, (frame.flags & kEndHeaders) != 0);
}

bool Http2HeadReader::take_block(ByteView block, bool last) {
  if (!headers_->take(block, last)) return fail(Http2Fault::bad_header);
  return last ? finish() : true;
}

bool Http2HeadReader::finish() {
  Headers& headers = *headers_;
  const bool connect = headers.method == "CONNECT";
  if (!headers.method || (!connect && (!headers.scheme || !headers.path))) return fail(Http2Fault::bad_header);
  if (!headers.authority && !headers.host) return fail(Http2Fault::no_host);
  const auto authority = parse_authority(headers.authority ? *headers.authority : *headers.host);
  if (!authority) return fail(Http2Fault::bad_host);
  if (headers.authority && headers.host) {
    const auto host = parse_authority(*headers.host);
    if (!host || !same_host(*host, *authority)) return fail(Http2Fault::host_differs);
  }
  head_.method = *headers.method;
  head_.target = headers.path.value_or("");
  head_.path = head_.target.substr(0, head_.target.find_first_of("?#"));
  head_.authority = *authority;
  head_.wants_json = headers.wants_json;
  state_ = State::complete;
  headers_.reset();
  return false;
}

bool Http2HeadReader::fail(Http2Fault fault) {
  state_ = State::failed;
  fault_ = fault;
  headers_.reset();
  return false;
}

}  // namespace microagent::http

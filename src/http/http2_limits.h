#pragma once

// What an HTTP/2 peer may do before its connection is ended with ENHANCE_YOUR_CALM (RFC 9113, 10.5). Every abuse named
// here costs the sender less than the receiver; an honest peer comes nowhere near.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace microagent::http {

enum class Http2Limit : std::uint8_t {
  none,
  protocol,       // no limit: the peer broke the protocol, and nghttp2 ended the connection
  resets,         // streams opened and reset at once (CVE-2023-44487)
  own_resets,     // streams that we had to reset for the peer's errors (CVE-2025-8671)
  continuations,  // a header block in endless pieces (CVE-2024-28182)
  header_list,    // above max_header_list, undone from little (an HPACK bomb)
  settings,       // CVE-2019-9515
  pings,          // CVE-2019-9512
  empty_frames,   // DATA without a byte, HEADERS without a field (CVE-2019-9518)
  window_updates,
  other_frames,   // priorities and unknown types, which mean nothing here
  unread_output,  // answers that the peer asks for and does not read
};
std::string_view to_string(Http2Limit limit);

// So many at once, and so many a second over time.
struct Http2Rate {
  std::uint32_t burst = 0;
  std::uint32_t per_second = 0;
};

struct Http2Limits {
  std::uint32_t max_streams = 128;            // that the peer may have open
  std::uint32_t max_header_list = 64 * 1024;  // names, values and 32 bytes a field (RFC 9113, 6.5.2)
  std::uint32_t max_continuations = 8;        // a header block
  std::uint32_t stream_window = 1024 * 1024;  // bytes that the peer may send ahead of consume()
  std::uint32_t connection_window = 8 * 1024 * 1024;
  Http2Rate resets{200, 50};  // to a client: beside one for each request
  Http2Rate own_resets{100, 20};
  Http2Rate settings{20, 2};
  Http2Rate pings{50, 10};  // beside one for each DATA frame of either side
  Http2Rate empty_frames{100, 20};
  Http2Rate other_frames{1000, 100};
  Http2Rate window_updates{2000, 500};         // beside those that the DATA sent explains
  std::uint32_t window_updates_per_data = 10;  // frame of ours
  std::uint32_t max_outbound_acks = 200;
  std::uint32_t max_outbound = 4096;  // frames but DATA that wait to be sent
};

}  // namespace microagent::http

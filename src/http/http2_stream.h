#pragma once

// What a session knows of one of its streams, and its fields as nghttp2 takes them.

#include <nghttp2/nghttp2.h>

#include "http/http2_session.h"

namespace microagent::http {

// Of one stream, until it is closed and all its data consumed.
struct Http2Stream {
  HeaderList fields;  // that are coming in
  std::size_t fields_size = 0;
  std::vector<std::uint8_t> queue;  // to be sent, from queue_at on
  std::size_t queue_at = 0;
  std::size_t unconsumed = 0;
  std::optional<HeaderList> trailers;
  bool answered = false;  // its heads of ours are submitted
  bool ends = false;      // nothing may be added to the queue
  bool deferred = false;  // nghttp2 waits for more data
  bool peer_ended = false, own_ended = false;
  bool dropped = false;  // by reset()
  bool closed = false;
  std::optional<Http2Error> stops;  // the request, once the response is out
  unsigned frames_in_turn = 0;
  unsigned interim = 0;  // responses that are not out yet

  std::size_t queued() const { return queue.size() - queue_at; }
};

// Points into `fields`.
inline std::vector<nghttp2_nv> as_nv(const HeaderList& fields) {
  std::vector<nghttp2_nv> all;
  all.reserve(fields.size());
  for (const Header& field : fields) {
    all.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.name.data())),
                   reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.value.data())), field.name.size(),
                   field.value.size(),
                   static_cast<std::uint8_t>(field.never_index ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
  }
  return all;
}

}  // namespace microagent::http

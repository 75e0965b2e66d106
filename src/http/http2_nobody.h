#pragma once

// The listener of a session that is between two owners.

#include "http/http2_session.h"

namespace microagent::http {

class Http2Nobody final : public Http2Events {
  void on_headers(StreamId, HeaderList, bool) override {}
  void on_informational(StreamId, HeaderList) override {}
  void on_data(StreamId, ByteView, bool) override {}
  void on_trailers(StreamId, HeaderList) override {}
  void on_sent(StreamId, std::size_t) override {}
  void on_reset(StreamId, Http2Error) override {}
  void on_closed(StreamId) override {}
  void on_goaway(StreamId, Http2Error) override {}
  void on_settings() override {}
  void on_pong(std::uint64_t) override {}
};

inline Http2Nobody& http2_nobody() {
  static Http2Nobody nobody;
  return nobody;
}

}  // namespace microagent::http

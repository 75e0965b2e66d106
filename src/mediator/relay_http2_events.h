#pragma once

// The events of the two connections of an HTTP/2 relay, under the names that the relay has for them.

#include <utility>

#include "http/http2_session.h"

namespace microagent::mediator {

template <typename Relay>
class GuestEvents final : public http::Http2Events {
 public:
  explicit GuestEvents(Relay& relay) : relay_(relay) {}
  void on_headers(http::StreamId stream, http::HeaderList fields, bool end) override {
    relay_.on_request(stream, fields, end);
  }
  void on_informational(http::StreamId, http::HeaderList) override {}
  void on_data(http::StreamId stream, ByteView bytes, bool end) override { relay_.on_request_data(stream, bytes, end); }
  void on_trailers(http::StreamId stream, http::HeaderList fields) override {
    relay_.on_request_trailers(stream, std::move(fields));
  }
  void on_sent(http::StreamId stream, std::size_t bytes) override { relay_.on_response_sent(stream, bytes); }
  void on_reset(http::StreamId stream, http::Http2Error error) override { relay_.on_guest_reset(stream, error); }
  void on_closed(http::StreamId stream) override { relay_.on_guest_closed(stream); }
  void on_goaway(http::StreamId, http::Http2Error) override {}  // it opens no more, and what it opened goes on
  void on_settings() override {}
  void on_pong(std::uint64_t) override {}

 private:
  Relay& relay_;
};

template <typename Relay>
class UpstreamEvents final : public http::Http2Events {
 public:
  explicit UpstreamEvents(Relay& relay) : relay_(relay) {}
  void on_headers(http::StreamId stream, http::HeaderList fields, bool end) override {
    relay_.on_response(stream, std::move(fields), end);
  }
  void on_informational(http::StreamId stream, http::HeaderList fields) override {
    relay_.on_interim_response(stream, std::move(fields));
  }
  void on_data(http::StreamId stream, ByteView bytes, bool end) override {
    relay_.on_response_data(stream, bytes, end);
  }
  void on_trailers(http::StreamId stream, http::HeaderList fields) override {
    relay_.on_response_trailers(stream, std::move(fields));
  }
  void on_sent(http::StreamId stream, std::size_t bytes) override { relay_.on_request_sent(stream, bytes); }
  void on_reset(http::StreamId stream, http::Http2Error error) override { relay_.on_upstream_reset(stream, error); }
  void on_closed(http::StreamId stream) override { relay_.on_upstream_closed(stream); }
  void on_goaway(http::StreamId last, http::Http2Error) override { relay_.on_upstream_goaway(last); }
  void on_settings() override { relay_.on_upstream_settings(); }
  void on_pong(std::uint64_t) override { relay_.on_upstream_pong(); }

 private:
  Relay& relay_;
};

}  // namespace microagent::mediator

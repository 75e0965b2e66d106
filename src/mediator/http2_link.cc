#include "mediator/http2_link.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "base/clock.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::chrono::milliseconds kFarewell{2'000};  // to send what is left when one side is over

}  // namespace

asio::awaitable<void> Http2Link::serve() {
  using namespace asio::experimental::awaitable_operators;
  co_await (read() || write());
}

// Until the peer is gone. One that broke the protocol is heard no more, but the writer still tells it so.
asio::awaitable<void> Http2Link::read() {
  std::vector<std::uint8_t> buffer(kPiece);
  for (;;) {
    const Arrival arrival = co_await stream_->read_some(buffer, kNever);
    if (arrival.bytes == 0) co_return owner_.on_ended(*this);
    const bool goes_on = session_.feed(ByteView(buffer).first(arrival.bytes), monotonic_ns());
    owner_.on_turn();
    if (goes_on) continue;
    owner_.on_broken(*this);
    co_return co_await forever();
  }
}

// Until the session is over.
asio::awaitable<void> Http2Link::write() {
  std::vector<std::uint8_t> output;
  for (;;) {
    output.clear();
    const std::size_t taken = session_.take_output(output);
    owner_.on_turn();  // the partners have room, and the peers hear of it
    if (taken > 0) {
      writes_ = true;
      if (!co_await stream_->write_all(output, kNever)) co_return;
      writes_ = false;
      written_ += taken;
      continue;
    }
    if (session_.is_finished()) co_return;
    wake_.expires_at(kNever);
    co_await wake_.async_wait(kAsTuple);
  }
}

void Http2Link::end_streams() {
  while (!to_reset_.empty()) {
    const Reset next = to_reset_.back();
    to_reset_.pop_back();
    session_.reset(next.stream, next.error);
  }
}

void Http2Link::renew(Stream& stream, http::Http2Session session) {
  stream_ = &stream;
  session_ = std::move(session);
  writes_ = false;
  to_reset_.clear();
}

std::optional<http::Http2Session> Http2Link::take_session() {
  if (stream_ == nullptr || writes_ || !to_reset_.empty() || session_.open_streams() > 0 || !session_.may_open())
    return std::nullopt;
  return std::move(session_);
}

asio::awaitable<void> Http2Link::say_farewell() {
  if (stream_ == nullptr || writes_) co_return;
  const Deadline deadline = in(kFarewell);
  std::vector<std::uint8_t> output;
  while (session_.take_output(output) > 0) {
    if (!co_await stream_->write_all(output, deadline)) co_return;
    output.clear();
  }
  co_await stream_->finish();
}

}  // namespace microagent::mediator

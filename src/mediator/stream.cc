#include "mediator/stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

namespace microagent::mediator {
namespace {

constexpr std::chrono::milliseconds kFarewell{5'000};  // for the last bytes of TLS

constexpr std::size_t kTurn = 1024 * 1024;
constexpr std::size_t kLeast = 4096;  // what a read costs, however little it brings

class PlainStream final : public SocketStream {
 public:
  using SocketStream::SocketStream;

  asio::awaitable<bool> write_all(ByteView bytes, Deadline deadline) override {
    return mediator::write_all(descriptor_, bytes, deadline);
  }

  asio::awaitable<void> finish() override {
    ::shutdown(descriptor_.native_handle(), SHUT_WR);
    co_return;
  }

 private:
  std::optional<Arrival> read_now(MutableBytes into) override {
    for (;;) {
      if (std::exchange(drained_, false)) return std::nullopt;
      const ssize_t count = ::read(descriptor_.native_handle(), into.data(), into.size());
      drained_ = count > 0 && static_cast<std::size_t>(count) < into.size();
      if (count > 0) return Arrival{static_cast<std::size_t>(count), StreamEnd::none};
      if (count == 0) return Arrival{0, StreamEnd::finished};
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
      return Arrival{0, errno == ECONNRESET ? StreamEnd::cut_off : StreamEnd::failed};
    }
  }

  bool drained_ = false;  // the last read left nothing there
};

StreamEnd end_of(tls::Stop stop) {
  switch (stop) {
    case tls::Stop::ended: return StreamEnd::finished;
    case tls::Stop::cut_off: return StreamEnd::cut_off;
    default: return StreamEnd::failed;
  }
}

}  // namespace

asio::awaitable<Arrival> Stream::read_some(MutableBytes into, Deadline deadline) {
  for (;;) {
    if (const auto arrival = take_some(into)) co_return *arrival;
    const Wait wait = co_await wait_for_more(deadline);
    if (wait == Wait::timed_out) co_return Arrival{0, StreamEnd::timed_out};
    if (wait == Wait::failed) co_return Arrival{0, StreamEnd::failed};
  }
}

asio::awaitable<Wait> Stream::wait_for_more(Deadline deadline) { return socket().wait_for_news(deadline); }

Descriptor& Stream::descriptor() { return socket().descriptor_; }

asio::awaitable<void> wait_for_either(Stream& a, Stream& b) {
  for (Stream* stream : {&a, &b}) {
    if (!stream->must_wait()) co_return;
    if (stream->socket().taken_ >= kTurn) co_return void(co_await stream->wait_for_more(kNever));
  }
  co_await aio::ReadWatch::wait_for_either(a.socket().watch_, b.socket().watch_);
}

SocketStream::SocketStream(Descriptor descriptor) : descriptor_(std::move(descriptor)), watch_(descriptor_) {}

bool SocketStream::must_wait() const { return taken_ >= kTurn || (blocked_ && !watch_.has_news()); }

std::optional<Arrival> SocketStream::take_some(MutableBytes into) {
  if (must_wait()) return std::nullopt;
  watch_.take_news();
  const auto arrival = read_now(into);
  blocked_ = !arrival;
  given_ = given_ || (arrival && arrival->bytes > 0);
  if (arrival) taken_ += std::max(arrival->bytes, kLeast);
  return arrival;
}

asio::awaitable<Wait> SocketStream::wait_for_news(Deadline deadline) {
  if (std::exchange(taken_, 0) >= kTurn) {
    co_await asio::post(descriptor_.get_executor(), asio::use_awaitable);
    co_return Wait::ready;
  }
  if (!reader_writes_) co_return co_await watch_.wait(deadline);
  const Wait wait = co_await wait_writable(descriptor_, deadline);
  blocked_ = false;
  co_return wait;
}

// Asked twice: the first answer may come from what the last read has seen.
std::optional<Arrival> SocketStream::take_unasked(MutableBytes into) {
  const auto first = read_now(into);
  return first ? first : read_now(into);
}

bool SocketStream::is_quiet() {
  std::array<std::uint8_t, 1> byte{};
  return !take_unasked(byte);
}

StreamPtr plain_stream(Descriptor descriptor) { return std::make_unique<PlainStream>(std::move(descriptor)); }

TlsStream::TlsStream(Descriptor descriptor, tls::Connection connection)
    : SocketStream(std::move(descriptor)), connection_(std::move(connection)) {}

asio::awaitable<Wait> TlsStream::wait_for(tls::Stop stop, Deadline deadline) {
  return stop == tls::Stop::want_write ? wait_writable(descriptor_, deadline) : wait_readable(descriptor_, deadline);
}

asio::awaitable<std::string> TlsStream::handshake(Deadline deadline) {
  for (;;) {
    const auto done = connection_.handshake();
    if (done) co_return std::string();
    alert_ = done.error().alert;
    if (done.error().stop == tls::Stop::ended) co_return "the peer ended the connection within the handshake";
    if (!done.error().waits()) co_return done.error().text;
    const Wait wait = co_await wait_for(done.error().stop, deadline);
    if (wait == Wait::timed_out) co_return "no TLS handshake in time";
    if (wait == Wait::failed) co_return "the connection failed within the handshake";
  }
}

// Fills `into` as far as whole records are there: one write at the other end for many of them.
std::optional<Arrival> TlsStream::read_now(MutableBytes into) {
  if (std::exchange(dry_, false)) return std::nullopt;
  std::size_t taken = 0;
  reader_writes_ = false;
  while (taken < into.size()) {
    const auto count = connection_.read(into.subspan(taken));
    if (!count && taken > 0) {
      dry_ = count.error().stop == tls::Stop::want_read;
      break;
    }
    if (!count && !count.error().waits()) {
      alert_ = count.error().alert;
      return Arrival{0, end_of(count.error().stop)};
    }
    if (!count) {
      reader_writes_ = count.error().stop == tls::Stop::want_write;
      return std::nullopt;
    }
    taken += *count;
  }
  return Arrival{taken, StreamEnd::none};
}

asio::awaitable<bool> TlsStream::write_all(ByteView bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const auto count = connection_.write(bytes);
    if (count) {
      bytes = bytes.subspan(*count);
      continue;
    }
    if (!count.error().waits()) {
      // Why the peer takes nothing may still be there to be read; and so may its answer, which others are to have. The
      // first look may only tell what the last read has seen.
      auto read = connection_.peek();
      if (!read && read.error().waits()) read = connection_.peek();
      alert_ = count.error().alert != 0 || read ? count.error().alert : read.error().alert;
      co_return false;
    }
    if (co_await wait_for(count.error().stop, deadline) != Wait::ready) co_return false;
  }
  co_return true;
}

bool TlsStream::write_at_once(ByteView bytes) {
  while (!bytes.empty()) {
    const auto count = connection_.write(bytes);
    if (!count) return false;
    bytes = bytes.subspan(*count);
  }
  return true;
}

void TlsStream::finish_at_once() {
  static_cast<void>(connection_.close_notify());
  ::shutdown(descriptor_.native_handle(), SHUT_WR);
}

asio::awaitable<void> TlsStream::finish() {
  const Deadline deadline = in(kFarewell);
  for (;;) {
    const auto told = connection_.close_notify();
    if (told || !told.error().waits()) break;
    if (co_await wait_for(told.error().stop, deadline) != Wait::ready) break;
  }
  ::shutdown(descriptor_.native_handle(), SHUT_WR);
}

}  // namespace microagent::mediator

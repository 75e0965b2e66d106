#include "mediator/stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

namespace microagent::mediator {
namespace {

constexpr std::chrono::milliseconds kFarewell{5'000};  // for the last bytes of TLS

constexpr std::size_t kTurn = 1024 * 1024;
constexpr std::size_t kLeast = 4096;  // what a read costs, however little it brings

class PlainStream final : public Stream {
 public:
  explicit PlainStream(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

  asio::awaitable<Arrival> read_some(MutableBytes into, Deadline deadline) override {
    if (turn_.is_over()) co_await asio::post(descriptor_.get_executor(), asio::use_awaitable);
    for (;;) {
      const ssize_t count = ::read(descriptor_.native_handle(), into.data(), into.size());
      if (count > 0) co_return turn_.counted(static_cast<std::size_t>(count));
      if (count == 0) co_return Arrival{0, StreamEnd::finished};
      if (errno == EINTR) continue;
      if (errno == ECONNRESET) co_return Arrival{0, StreamEnd::cut_off};
      if (errno != EAGAIN && errno != EWOULDBLOCK) co_return Arrival{0, StreamEnd::failed};
      turn_.begin();
      const Wait wait = co_await wait_readable(descriptor_, deadline);
      if (wait == Wait::timed_out) co_return Arrival{0, StreamEnd::timed_out};
      if (wait == Wait::failed) co_return Arrival{0, StreamEnd::failed};
    }
  }

  asio::awaitable<bool> write_all(ByteView bytes, Deadline deadline) override {
    return mediator::write_all(descriptor_, bytes, deadline);
  }

  asio::awaitable<void> finish() override {
    ::shutdown(descriptor_.native_handle(), SHUT_WR);
    co_return;
  }

  Descriptor& descriptor() override { return descriptor_; }

 private:
  Descriptor descriptor_;
  Turn turn_;
};

StreamEnd end_of(tls::Stop stop) {
  switch (stop) {
    case tls::Stop::ended: return StreamEnd::finished;
    case tls::Stop::cut_off: return StreamEnd::cut_off;
    default: return StreamEnd::failed;
  }
}

}  // namespace

bool Turn::is_over() {
  if (taken_ < kTurn) return false;
  taken_ = 0;
  return true;
}

Arrival Turn::counted(std::size_t bytes) {
  taken_ += std::max(bytes, kLeast);
  return {bytes, StreamEnd::none};
}

StreamPtr plain_stream(Descriptor descriptor) { return std::make_unique<PlainStream>(std::move(descriptor)); }

TlsStream::TlsStream(Descriptor descriptor, tls::Connection connection)
    : descriptor_(std::move(descriptor)), connection_(std::move(connection)) {}

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
asio::awaitable<Arrival> TlsStream::read_some(MutableBytes into, Deadline deadline) {
  if (turn_.is_over()) co_await asio::post(descriptor_.get_executor(), asio::use_awaitable);
  std::size_t taken = 0;
  for (;;) {
    const auto count = connection_.read(into.subspan(taken));
    if (count) taken += *count;
    if (taken == into.size() || (!count && taken > 0)) co_return turn_.counted(taken);
    if (count) continue;
    if (!count.error().waits()) co_return Arrival{0, end_of(count.error().stop)};
    turn_.begin();
    const Wait wait = co_await wait_for(count.error().stop, deadline);
    if (wait == Wait::timed_out) co_return Arrival{0, StreamEnd::timed_out};
    if (wait == Wait::failed) co_return Arrival{0, StreamEnd::failed};
  }
}

asio::awaitable<bool> TlsStream::write_all(ByteView bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const auto count = connection_.write(bytes);
    if (count) {
      bytes = bytes.subspan(*count);
      continue;
    }
    if (!count.error().waits()) co_return false;
    if (co_await wait_for(count.error().stop, deadline) != Wait::ready) co_return false;
  }
  co_return true;
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

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

#include "mediator/relay.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

// True when `from` ended as it should, so that the other direction may go on.
asio::awaitable<bool> pump(Stream& from, Stream& to) {
  std::vector<std::uint8_t> buffer(kPiece);
  for (;;) {
    const Arrival arrival = co_await from.read_some(buffer, kNever);
    if (arrival.bytes == 0) {
      if (arrival.end == StreamEnd::finished) co_await to.finish();
      co_return arrival.end == StreamEnd::finished;
    }
    if (!co_await to.write_all(ByteView(buffer).first(arrival.bytes), kNever)) co_return false;
  }
}

// Returns only when the direction is broken; a direction that ended in order leaves the end to the other one.
asio::awaitable<void> break_on_failure(Stream& from, Stream& to, int& open) {
  if (!co_await pump(from, to)) co_return;
  if (--open > 0) co_await forever();
}

}  // namespace

asio::awaitable<void> relay_bytes(Stream& guest, Stream& upstream) {
  using namespace asio::experimental::awaitable_operators;
  int open = 2;
  co_await (break_on_failure(guest, upstream, open) || break_on_failure(upstream, guest, open));
}

}  // namespace microagent::mediator

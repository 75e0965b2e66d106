#include <boost/asio/experimental/awaitable_operators.hpp>

#include "mediator/inflow.h"
#include "mediator/relay.h"

namespace microagent::mediator {
namespace {

// Returns when the direction is broken, or as the last of both; one that ended in order leaves the end to the other.
asio::awaitable<void> pump(Inflow& from, Stream& to, std::uint64_t& count, int& open, http::WebSocketMask* mask) {
  std::vector<std::uint8_t> masked;
  while (co_await from.fill(kNever)) {
    const std::size_t size = from.bytes().size();
    if (mask) {
      masked.clear();
      mask->feed(from.bytes(), masked);
    }
    if (!co_await to.write_all(mask ? ByteView(masked) : from.bytes(), kNever)) co_return;
    if (mask && mask->fault() != http::WebSocketMask::Fault::none) co_return;
    from.take(size);
    count += size;
  }
  if (from.end() != StreamEnd::finished) co_return;
  co_await to.finish();
  if (--open > 0) co_await forever();
}

}  // namespace

asio::awaitable<void> carry_bytes(Inflow& guest, Inflow& upstream, std::uint64_t& bytes_out, std::uint64_t& bytes_in,
                                  http::WebSocketMask* mask) {
  using namespace asio::experimental::awaitable_operators;
  int open = 2;
  co_await (pump(guest, upstream.stream(), bytes_out, open, nullptr) ||
            pump(upstream, guest.stream(), bytes_in, open, mask));
}

asio::awaitable<void> relay_bytes(Stream& guest, Stream& upstream) {
  Inflow from_guest(guest), from_upstream(upstream);
  std::uint64_t bytes_out = 0, bytes_in = 0;  // netd counts what passes here
  co_await carry_bytes(from_guest, from_upstream, bytes_out, bytes_in);
}

}  // namespace microagent::mediator

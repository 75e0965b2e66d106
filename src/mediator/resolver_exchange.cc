#include "mediator/resolver_exchange.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <boost/asio/this_coro.hpp>

#include "base/check.h"
#include "mediator/dial.h"

namespace microagent::mediator {
namespace {

using dns::Lookup;

// What a resolver may send over UDP: it was told dns::kMaxDatagram, and some send more.
constexpr std::size_t kMaxReply = 4096;

asio::awaitable<tl::expected<Descriptor, std::string>> connect(const Lookup::Attempt& attempt, Deadline deadline) {
  const auto protocol = attempt.transport == dns::Transport::udp ? flow::Protocol::udp : flow::Protocol::tcp;
  const dns::Resolver& resolver = attempt.resolver;
  auto socket = co_await dial({protocol, resolver.address, resolver.port, resolver.scope}, deadline);
  if (!socket) co_return tl::unexpected(socket.error().text);
  auto watched = watch(co_await asio::this_coro::executor, std::move(*socket));
  if (!watched) co_return tl::unexpected(watched.error().message);
  co_return std::move(*watched);
}

asio::awaitable<bool> exchange_datagrams(Lookup& lookup, Descriptor& socket, const dns::Bytes& message,
                                         Deadline deadline) {
  if (!co_await write_all(socket, message, deadline)) co_return false;
  dns::Bytes packet(kMaxReply);
  for (;;) {
    const std::size_t size = co_await read_some(socket, packet, deadline);
    if (size == 0) co_return false;
    if (lookup.on_answer(ByteView(packet).first(size)) != Lookup::Outcome::ignored) co_return true;
  }
}

asio::awaitable<bool> exchange_framed(Lookup& lookup, Descriptor& socket, const dns::Bytes& message,
                                      Deadline deadline) {
  const be16 length(static_cast<std::uint16_t>(message.size()));
  dns::Bytes framed(bytes_of(length).begin(), bytes_of(length).end());
  framed.insert(framed.end(), message.begin(), message.end());
  if (!co_await write_all(socket, framed, deadline)) co_return false;

  std::array<std::uint8_t, sizeof(be16)> prefix{};
  if (!co_await read_exactly(socket, prefix, deadline)) co_return false;
  dns::Bytes answer(static_cast<std::size_t>(prefix[0] << 8 | prefix[1]));
  if (!co_await read_exactly(socket, answer, deadline)) co_return false;
  co_return lookup.on_answer(answer) != Lookup::Outcome::ignored;
}

}  // namespace

asio::awaitable<std::string> ask_resolver(Lookup& lookup, const Lookup::Attempt& attempt, Deadline deadline) {
  auto socket = co_await connect(attempt, deadline);
  if (!socket) co_return socket.error();
  bool answered = false;
  if (attempt.transport == dns::Transport::udp) {
    answered = co_await exchange_datagrams(lookup, *socket, attempt.message, deadline);
  } else {
    answered = co_await exchange_framed(lookup, *socket, attempt.message, deadline);
  }
  co_return answered ? "" : "no answer";
}

std::uint16_t random_query_id() {
  std::uint16_t id = 0;
  MICROAGENT_CHECK(::getrandom(&id, sizeof id, 0) == sizeof id);
  return id;
}

}  // namespace microagent::mediator

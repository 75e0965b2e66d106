#include "mediator/host_target.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "mediator/host_names.h"

namespace microagent::mediator {
namespace {

using Dialled = tl::expected<Fd, DialError>;

// A Unix listener whose queue is full gives no sign when it no longer is.
constexpr std::chrono::milliseconds kFullQueuePause{10};

tl::unexpected<DialError> failed(std::string text) {
  return tl::unexpected(DialError{flow::Refusal::reset, std::move(text)});
}

// A literal, with its zone where it is link-local.
std::optional<Target> literal(const HostTarget& target) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(target.host, error);
  if (error) return std::nullopt;
  Target found{flow::Protocol::tcp, {}, target.port, 0};
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    found.address = policy::Address::ipv4({bytes[0], bytes[1], bytes[2], bytes[3]});
    return found;
  }
  found.address = policy::Address::ipv6(address.to_v6().to_bytes());
  found.scope = static_cast<std::uint32_t>(address.to_v6().scope_id());
  return found;
}

asio::awaitable<tl::expected<std::vector<Target>, DialError>> look_up(const HostTarget& target, Deadline deadline) {
  if (const auto known = literal(target)) co_return std::vector{*known};
  const auto addresses = co_await addresses_of_host(target.host, deadline);
  if (!addresses) co_return failed(addresses.error());
  std::vector<Target> targets;
  for (const policy::Address& address : *addresses) targets.push_back({flow::Protocol::tcp, address, target.port, 0});
  co_return targets;
}

asio::awaitable<Dialled> dial_tcp(const HostTarget& target, Deadline deadline) {
  const auto targets = co_await look_up(target, deadline);
  if (!targets) co_return tl::unexpected(targets.error());
  Dialled dialled = failed("its name has no address");
  for (const Target& address : *targets) {
    dialled = co_await dial(address, deadline);
    if (dialled) break;
  }
  co_return dialled;
}

asio::awaitable<Dialled> dial_unix(const std::string& path, Delivery delivery, Deadline deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) co_return failed("the path of its socket is too long");
  std::ranges::copy(path, address.sun_path);
  const int type = delivery == Delivery::packets ? SOCK_SEQPACKET : SOCK_STREAM;
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) co_return failed(std::strerror(errno));
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return failed(std::strerror(errno));
    if (std::chrono::steady_clock::now() >= deadline) co_return failed("its queue of connections stays full");
    asio::steady_timer timer(co_await asio::this_coro::executor, kFullQueuePause);
    co_await timer.async_wait(kAsTuple);
  }
  co_return Dialled(std::move(socket));
}

}  // namespace

asio::awaitable<tl::expected<Fd, DialError>> dial_host(HostTarget target, Delivery delivery, Deadline deadline) {
  if (!target.path.empty()) co_return co_await dial_unix(target.path, delivery, deadline);
  if (delivery == Delivery::packets) co_return failed("a TCP target does not keep messages apart");
  co_return co_await dial_tcp(target, deadline);
}

}  // namespace microagent::mediator

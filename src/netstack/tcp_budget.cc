// What moves between a connection and its descriptor is charged before it moves (netstack/budget.h).

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/pieces.h"
#include "netstack/tcp_impl.h"

namespace microagent::netstack {
namespace {

constexpr std::size_t kMaxIov = 1024;  // UIO_MAXIOV

ssize_t send_some(int fd, std::span<const iovec> pieces) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  for (;;) {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return -1;
  }
}

// How many bytes the descriptor took: less than all only when it is full. -1 with errno when it failed.
ssize_t send_to_host(int fd, std::span<const iovec> pieces) {
  if (pieces.size() <= kMaxIov) return send_some(fd, pieces);
  ssize_t all = 0;
  for (; !pieces.empty(); pieces = pieces.subspan(std::min(pieces.size(), kMaxIov))) {
    const auto some = pieces.first(std::min(pieces.size(), kMaxIov));
    const ssize_t sent = send_some(fd, some);
    if (sent < 0) return sent;
    all += sent;
    if (static_cast<std::size_t>(sent) < total_bytes(some)) break;
  }
  return all;
}

}  // namespace

ssize_t TcpFlows::Impl::send_charged(TcpConnection& c, std::span<const iovec> pieces, std::size_t bytes,
                                     bool& refused) {
  if (c.budget == kNoBudget) return send_to_host(c.fd.get(), pieces);
  const std::size_t granted = env.budgets.take(c.budget, Direction::out, bytes, env.now_ns);
  ssize_t sent = 0;
  if (granted > 0) {
    const std::size_t count = std::min(pieces.size(), peek_pieces.size());
    std::ranges::copy(pieces.first(count), peek_pieces.begin());
    sent = send_to_host(c.fd.get(), keep_front(std::span(peek_pieces).first(count), granted));
  }
  const int error = errno;
  const std::size_t moved = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
  env.budgets.give_back(c.budget, Direction::out, granted - moved);
  refused = granted < bytes && moved == granted;
  errno = error;
  return sent;
}

TcpFlows::Impl::Sent TcpFlows::Impl::send_new_data(TcpConnection& c, std::uint32_t most) {
  const BudgetId budget = c.budget;
  const std::size_t granted = env.budgets.take(budget, Direction::in, most, env.now_ns);
  if (granted == 0) return look_beyond_budget(c);
  const std::uint64_t before = c.bytes_in;
  const Sent sent = send_data(c, static_cast<std::uint32_t>(granted));
  const std::size_t moved = sent == Sent::some ? static_cast<std::size_t>(c.bytes_in - before) : 0;
  env.budgets.give_back(budget, Direction::in, granted - moved);
  return sent;
}

// Nothing may move, which matters only if there is something: the end of a stream costs nothing.
TcpFlows::Impl::Sent TcpFlows::Impl::look_beyond_budget(TcpConnection& c) {
  std::uint8_t byte = 0;
  iovec place{&byte, 1};
  const ssize_t count = peek_at(c, c.unconsumed + c.in_flight(), {&place, 1}, 1);
  if (count <= 0) return on_nothing_to_send(c, count == 0 ? 0 : errno);
  return await_budget(c) ? Sent::nothing : Sent::gone;
}

bool TcpFlows::Impl::await_budget(TcpConnection& c) {
  if (env.budgets.spent(c.budget)) return reset_guest(c, End::capped), false;
  (void)env.budgets.worth_trying(c.budget, env.now_ns);
  if (c.awaits_budget) return true;
  c.awaits_budget = true;
  forget_dead(without_budget);
  without_budget.push_back(token_of(c));
  return true;
}

// Who gets something and wants more goes behind those that got nothing.
void TcpFlows::on_budget() {
  Impl& impl = *impl_;
  std::deque<std::uint64_t> unserved;
  for (const std::uint64_t token : std::exchange(impl.without_budget, {})) {
    TcpConnection* c = impl.find_token(token);
    if (c == nullptr) continue;
    if (!impl.env.budgets.worth_trying(c->budget, impl.env.now_ns)) {
      unserved.push_back(token);
      continue;
    }
    c->awaits_budget = false;
    const bool may_drain = c->held_bytes() > 0 && !c->peeked && !c->host_failed;
    if (may_drain && !impl.drain_held(*c)) continue;
    impl.pump(*c);
  }
  impl.without_budget.insert(impl.without_budget.begin(), unserved.begin(), unserved.end());
}

}  // namespace microagent::netstack

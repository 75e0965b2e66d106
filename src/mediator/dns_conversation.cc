#include "mediator/dns_conversation.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <memory>

#include "mediator/spawn.h"

namespace microagent::mediator {
namespace {

constexpr std::chrono::milliseconds kIdle{30'000};
constexpr std::chrono::milliseconds kWriteTimeout{10'000};
constexpr std::size_t kMaxUdpQuery = 4096;  // queries are small; a longer one arrives cut and is answered FORMERR

// Shared by the reading coroutine and one coroutine a query, and gone with the last of them.
struct Conversation {
  Conversation(Descriptor socket_, dns::Transport transport_, Answerer answer_)
      : socket(std::move(socket_)),
        transport(transport_),
        answer(std::move(answer_)),
        progress(socket.get_executor(), kNever) {}

  Descriptor socket;
  dns::Transport transport;
  Answerer answer;
  std::size_t under_way = 0;
  asio::steady_timer progress;  // never expires; cancelled, and so awaited, when there is room for another query
  std::deque<dns::Bytes> outgoing;
  bool writing = false;
};
using Shared = std::shared_ptr<Conversation>;

asio::awaitable<std::optional<dns::Bytes>> next_datagram(Conversation& conversation) {
  if (co_await wait_readable(conversation.socket, in(kIdle)) != Wait::ready) co_return std::nullopt;
  dns::Bytes message(kMaxUdpQuery);
  message.resize(co_await read_some(conversation.socket, message, in(kIdle)));
  if (message.empty()) co_return std::nullopt;
  co_return message;
}

asio::awaitable<std::optional<dns::Bytes>> next_framed(Conversation& conversation) {
  std::array<std::uint8_t, sizeof(be16)> prefix{};
  if (!co_await read_exactly(conversation.socket, prefix, in(kIdle))) co_return std::nullopt;
  dns::Bytes message(static_cast<std::size_t>(prefix[0] << 8 | prefix[1]));
  if (!co_await read_exactly(conversation.socket, message, in(kIdle))) co_return std::nullopt;
  co_return message;
}

asio::awaitable<void> write_framed(Shared conversation) {
  while (!conversation->outgoing.empty()) {
    const dns::Bytes message = std::move(conversation->outgoing.front());
    conversation->outgoing.pop_front();
    if (!co_await write_all(conversation->socket, message, in(kWriteTimeout))) {
      conversation->outgoing.clear();
      ::shutdown(conversation->socket.native_handle(), SHUT_RDWR);
    }
    conversation->progress.cancel();
  }
  conversation->writing = false;
}

void reply(const Shared& conversation, const dns::Bytes& message) {
  if (conversation->transport == dns::Transport::udp) {
    // A datagram that finds no room is lost, as datagrams are; the guest asks again.
    ::send(conversation->socket.native_handle(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  dns::Bytes framed(sizeof(be16));
  std::ranges::copy(bytes_of(be16(static_cast<std::uint16_t>(message.size()))), framed.begin());
  framed.insert(framed.end(), message.begin(), message.end());
  conversation->outgoing.push_back(std::move(framed));
  if (std::exchange(conversation->writing, true)) return;
  spawn(conversation->socket.get_executor(), write_framed(conversation));
}

asio::awaitable<void> answer_one(Shared conversation, dns::Bytes message) {
  const auto answer = co_await conversation->answer(std::move(message));
  if (answer) reply(conversation, *answer);
  --conversation->under_way;
  conversation->progress.cancel();
}

}  // namespace

asio::awaitable<void> converse(Descriptor socket, dns::Transport transport, Answerer answer) {
  const auto conversation = std::make_shared<Conversation>(std::move(socket), transport, std::move(answer));
  for (;;) {
    while (conversation->under_way + conversation->outgoing.size() >= kMaxQueriesPerFlow) {
      co_await conversation->progress.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    std::optional<dns::Bytes> message;
    if (transport == dns::Transport::udp) {
      message = co_await next_datagram(*conversation);
    } else {
      message = co_await next_framed(*conversation);
    }
    if (!message) co_return;
    ++conversation->under_way;
    spawn(conversation->socket.get_executor(), answer_one(conversation, std::move(*message)));
  }
}

}  // namespace microagent::mediator

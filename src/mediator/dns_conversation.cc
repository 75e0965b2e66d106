#include "mediator/dns_conversation.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <deque>
#include <memory>

#include "mediator/io.h"

namespace microagent::mediator {
namespace {

constexpr std::chrono::milliseconds kIdle{30'000};
constexpr std::chrono::milliseconds kWriteTimeout{10'000};
constexpr std::size_t kMaxQueriesATurn = 64;  // others have their turn, too
constexpr std::size_t kMaxUdpQuery = 4096;    // queries are small; a longer one arrives cut and is answered FORMERR

// Shared by the reading coroutine and one for each query that takes a while, and gone with the last of them.
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

asio::awaitable<void> answer_later(Shared conversation, asio::awaitable<Answered> answer) {
  const Answered answered = co_await std::move(answer);
  if (answered) reply(conversation, *answered);
  --conversation->under_way;
  conversation->progress.cancel();
}

void take_message(const Shared& conversation, ByteView message) {
  auto answer = conversation->answer(message);
  if (const auto* answered = std::get_if<Answered>(&answer)) {
    if (*answered) reply(conversation, **answered);
    return;
  }
  ++conversation->under_way;
  auto& later = std::get<asio::awaitable<Answered>>(answer);
  spawn(conversation->socket.get_executor(), answer_later(conversation, std::move(later)));
}

bool has_room(const Conversation& conversation) {
  return conversation.under_way + conversation.outgoing.size() < kMaxQueriesPerFlow;
}

// Takes what has arrived, a turn's worth of it; false at the end of the conversation.
bool take_datagrams(const Shared& conversation) {
  std::array<std::uint8_t, kMaxUdpQuery> message;
  for (std::size_t taken = 0; taken < kMaxQueriesATurn && has_room(*conversation);) {
    const ssize_t count = ::recv(conversation->socket.native_handle(), message.data(), message.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (count == 0) return false;
    take_message(conversation, ByteView(message).first(static_cast<std::size_t>(count)));
    ++taken;
  }
  return true;
}

asio::awaitable<bool> take_more_datagrams(Shared conversation) {
  if (co_await wait_readable(conversation->socket, in(kIdle)) != Wait::ready) co_return false;
  co_return take_datagrams(conversation);
}

asio::awaitable<bool> take_framed(Shared conversation) {
  const auto message = co_await next_framed(*conversation);
  if (message) take_message(conversation, *message);
  co_return message.has_value();
}

}  // namespace

asio::awaitable<void> converse(Descriptor socket, dns::Transport transport, Answerer answer) {
  const auto conversation = std::make_shared<Conversation>(std::move(socket), transport, std::move(answer));
  for (bool goes_on = true; goes_on;) {
    while (!has_room(*conversation)) {
      co_await conversation->progress.async_wait(kAsTuple);
    }
    const bool datagrams = transport == dns::Transport::udp;
    goes_on = co_await (datagrams ? take_more_datagrams(conversation) : take_framed(conversation));
  }
}

}  // namespace microagent::mediator

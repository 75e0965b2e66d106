#include "mediator/guest_agent.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "mediator/io.h"

namespace microagent::mediator {
namespace {

constexpr std::chrono::milliseconds kHelloTimeout{10'000};

}  // namespace

GuestAgent::GuestAgent(asio::any_io_executor executor, bool isolated, Report report)
    : executor_(std::move(executor)), report_(std::move(report)), protocol_(isolated) {}

Result<Fd> GuestAgent::accept() {
  if (stream_) return fail(ErrorKind::conflict, "the guest agent is already connected");
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail_errno(errno, "cannot make a socket pair");
  }
  Fd ours(ends[0]), guests(ends[1]);
  auto watched = watch(executor_, std::move(ours));
  if (!watched) return fail(watched.error());
  stream_.emplace(std::move(*watched));
  protocol_.start_stream();
  spawn(executor_, converse());
  return guests;
}

void GuestAgent::shutdown(std::chrono::milliseconds patience) {
  shutdown_ = in(patience);
  if (stream_ && protocol_.greeted()) send_shutdown();
}

void GuestAgent::trust(wire::Trust trust) {
  trust_ = std::move(trust);
  if (stream_ && protocol_.greeted()) send_trust();
}

asio::awaitable<void> GuestAgent::converse() {
  const Deadline hello_deadline = in(kHelloTimeout);
  while (!protocol_.greeted() && co_await take_frames(hello_deadline)) {
  }
  if (protocol_.greeted()) send_trust();
  if (protocol_.greeted() && shutdown_) send_shutdown();
  while (protocol_.greeted() && co_await take_frames(kNever)) {
  }
  stream_.reset();
}

// Reads once and passes on what it completes; false when the stream is over.
asio::awaitable<bool> GuestAgent::take_frames(Deadline deadline) {
  std::array<std::uint8_t, 4096> chunk;
  const std::size_t size = co_await read_some(*stream_, chunk, deadline);
  if (size == 0) co_return false;
  const auto messages = protocol_.feed(ByteView(chunk).first(size));
  if (!messages) {
    warnings_.warn("the guest agent broke the protocol: " + messages.error());
    if (const auto failure = protocol_.report_violation(messages.error())) report_(*failure);
    co_return false;
  }
  for (const nlohmann::json& message : *messages) report_(message);
  co_return true;
}

// What we send is small and rare: a guest that does not take it at once takes nothing.
void GuestAgent::send(wire::FrameType type, ByteView payload, std::string_view what) {
  const auto frame = wire::encode_frame(type, payload);
  const ssize_t sent = ::send(stream_->native_handle(), frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != static_cast<ssize_t>(frame.size())) warnings_.warn(fmt::format("the guest agent does not take {}", what));
}

void GuestAgent::send_trust() { send(wire::FrameType::trust, wire::encode_trust(trust_), "whom to trust"); }

void GuestAgent::send_shutdown() {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*shutdown_ - Deadline::clock::now()).count();
  const auto patience = static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 0, UINT32_MAX));
  send(wire::FrameType::shutdown, bytes_of(le32(patience)), "the shutdown request");
}

}  // namespace microagent::mediator

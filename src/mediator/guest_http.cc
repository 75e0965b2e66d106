#include "mediator/guest_http.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "mediator/explanation.h"

namespace microagent::mediator {
namespace {

constexpr std::chrono::milliseconds kPatience{10'000};
constexpr std::chrono::milliseconds kLingering{2'000};
constexpr std::size_t kMaxLingering = 1024 * 1024;

}  // namespace

asio::awaitable<void> part_from(Descriptor& stream) {
  ::shutdown(stream.native_handle(), SHUT_WR);
  const Deadline deadline = in(kLingering);
  std::array<std::uint8_t, 4096> chunk;
  for (std::size_t taken = 0; taken < kMaxLingering;) {
    const std::size_t count = co_await read_some(stream, chunk, deadline);
    if (count == 0) co_return;
    taken += count;
  }
}

asio::awaitable<void> serve_answer(Descriptor stream, std::string answer) {
  if (!co_await write_all(stream, text_bytes(answer), in(kPatience))) co_return;
  co_await part_from(stream);
}

asio::awaitable<void> serve_request(Descriptor stream, Responder responder) {
  using State = http::RequestHeadReader::State;
  const Deadline deadline = in(kPatience);
  http::RequestHeadReader reader;
  std::array<std::uint8_t, 4096> chunk;
  while (reader.state() == State::incomplete) {
    const std::size_t count = co_await read_some(stream, chunk, deadline);
    if (count == 0) co_return;
    reader.feed(ByteView(chunk).first(count));
  }
  std::string answer;
  if (reader.state() == State::complete) {
    answer = responder(reader.head());
  } else {
    answer = plain_response("400 Bad Request", std::string(to_string(reader.fault())) + "\n");
  }
  co_await serve_answer(std::move(stream), std::move(answer));
}

Result<GuestStream> open_guest_stream(const asio::any_io_executor& executor) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail_errno(errno, "cannot make a socket pair");
  }
  Fd ours(ends[0]), guests(ends[1]);
  auto watched = watch(executor, std::move(ours));
  if (!watched) return fail(watched.error());
  return GuestStream{std::move(*watched), std::move(guests)};
}

}  // namespace microagent::mediator

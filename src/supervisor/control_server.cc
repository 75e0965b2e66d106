#include "supervisor/control_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/log.h"
#include "supervisor/sockets.h"

namespace microagent::supervisor {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxConnections = 256;
constexpr std::chrono::seconds kRequestPatience{5};
constexpr std::chrono::seconds kReplyPatience{5};
constexpr std::chrono::milliseconds kShortagePause{100};

// The first line of a connection; nothing when it does not come in time, or is too long.
asio::awaitable<std::optional<std::string>> read_line(Descriptor& connection) {
  const Deadline deadline = in(kRequestPatience);
  std::string line;
  std::array<std::uint8_t, 512> chunk;
  while (line.size() < kMaxControlLine) {
    const std::size_t size = co_await read_some(connection, chunk, deadline);
    if (size == 0) break;
    line.append(chunk.begin(), chunk.begin() + size);
    if (const std::size_t end = line.find('\n'); end != std::string::npos) co_return line.substr(0, end);
  }
  co_return std::nullopt;
}

// A new connection's buffer takes a reply at once.
void send_with_descriptor(int socket, std::string_view line, int passed) {
  iovec part{const_cast<char*>(line.data()), line.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &passed, sizeof passed);
  if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) log_warning("a command left before its answer");
}

Result<Json> without_result(const Status& outcome) {
  if (!outcome) return fail(outcome.error());
  return Json();
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::open(const asio::any_io_executor& executor, int directory,
                                                           ControlHandler& handler, Changes& changes) {
  auto socket = listen_in(directory, kControlSocket);
  if (!socket) return fail(socket.error());
  auto listener = watch(executor, std::move(*socket));
  if (!listener) return fail(listener.error());
  std::unique_ptr<ControlServer> server(new ControlServer(directory, std::move(*listener), handler, changes));
  spawn(executor, server->accept());
  return server;
}

void ControlServer::close() {
  boost::system::error_code ignored;
  listener_.close(ignored);
  ::unlinkat(directory_, kControlSocket, 0);
}

asio::awaitable<void> ControlServer::accept() {
  while (co_await wait_readable(listener_, kNever) == Wait::ready) {
    Fd socket(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      // Whatever is short comes back without notice.
      if (errno != EAGAIN && errno != ECONNABORTED) co_await pause(kShortagePause);
      continue;
    }
    if (connections_ >= kMaxConnections) continue;
    auto connection = watch(listener_.get_executor(), std::move(socket));
    if (connection) spawn(listener_.get_executor(), serve(std::move(*connection)));
  }
}

asio::awaitable<void> ControlServer::serve(Descriptor connection) {
  ++connections_;
  if (auto line = co_await read_line(connection)) {
    ++pending_;
    co_await answer(connection, std::move(*line));
    --pending_;
    changes_.notify();
  }
  --connections_;
}

// False when nobody is there any more to hear of it.
asio::awaitable<bool> ControlServer::wait_while_there(Descriptor& connection, asio::awaitable<void> event) {
  using namespace asio::experimental::awaitable_operators;
  // A client has said all it had to say: whatever becomes readable is its end.
  const auto first = co_await (std::move(event) || wait_readable(connection, kNever));
  co_return first.index() == 0;
}

asio::awaitable<void> ControlServer::answer(Descriptor& connection, std::string line) {
  using Command = ControlRequest::Command;
  const auto request = parse_control_request(line);
  Result<Json> result = Json();
  if (!request) {
    result = fail(request.error());
  } else if (request->command == Command::wait) {
    if (!co_await wait_while_there(connection, handler_.wait())) co_return;
  } else if (request->command == Command::end) {
    if (!co_await wait_while_there(connection, handler_.wait_for_end())) co_return;
    result = without_result(handler_.how_it_ended());
  } else if (request->command == Command::exec) {
    const auto stream = co_await handler_.open_exec();
    if (stream) co_return send_with_descriptor(connection.native_handle(), encode_control_reply({}), stream->get());
    result = fail(stream.error());
  } else {
    result = co_await carry_out(*request);
  }
  const std::string reply = encode_control_result(result);
  co_await write_all(connection, text_bytes(reply), in(kReplyPatience));
}

asio::awaitable<Result<Json>> ControlServer::carry_out(const ControlRequest& request) {
  using Command = ControlRequest::Command;
  switch (request.command) {
    case Command::stop: co_return without_result(co_await handler_.stop(request.timeout));
    case Command::kill: co_return without_result(co_await handler_.kill());
    case Command::policy: co_return co_await handler_.apply_policy();
    case Command::ports: co_return co_await handler_.apply_ports();
    case Command::ask: co_return co_await handler_.ask_mediator(Json::parse(request.question, nullptr, false));
    case Command::usage: co_return co_await handler_.usage();
    case Command::health: {
      co_return without_result(co_await handler_.note_health(request.healthy, request.finding));
    }
    case Command::pending: co_return co_await handler_.pending_event();
    case Command::quarantine: co_return co_await handler_.quarantine();
    case Command::exec:
    case Command::end:
    case Command::wait: break;
  }
  co_return Json();
}

}  // namespace microagent::supervisor

#include "credentials/process.h"

#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstdlib>

#include "base/log.h"
#include "credentials/keeper.h"
#include "credentials/protocol.h"

namespace microagent::credentials {
namespace {

class Server {
 public:
  Server(asio::io_context& io, Descriptor socket, policy::SwapSet swaps, std::shared_ptr<const Mint> mint)
      : io_(io),
        socket_(std::move(socket)),
        keeper_(io.get_executor(), std::move(swaps),
                [mint = std::move(mint)](const policy::Swap& swap) { return mint->make(swap); }) {}

  asio::awaitable<void> serve() {
    std::array<std::uint8_t, sizeof(Ask) + 1> packet{};
    for (;;) {
      const std::size_t size = co_await read_some(socket_, packet, kNever);
      const auto ask = parse_ask(ByteView(packet).first(size));
      if (!ask) break;
      asio::co_spawn(io_, answer(*ask), [](const std::exception_ptr& thrown) {
        if (thrown) std::rethrow_exception(thrown);
      });
    }
    io_.stop();
  }

 private:
  asio::awaitable<void> answer(Ask ask) {
    const auto credential = co_await keeper_.obtain(ask.swap, ask.refused);
    const Secret packet = encode_answer(ask.swap, credential);
    if (!co_await write_all(socket_, text_bytes(packet.view()), kNever)) io_.stop();
  }

  asio::io_context& io_;
  Descriptor socket_;
  Keeper keeper_;
};

[[noreturn]] void become_process(Fd socket, const ProcessSpec& spec, pid_t parent) {
  set_log_name("credentials");
  ::prctl(PR_SET_NAME, "credentials");
  ::signal(SIGPIPE, SIG_IGN);
  // resolv.conf(5): a lookup cannot be given up, and the next waits for it.
  ::setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);
  const bool bound = ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent;
  const bool hidden = ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  // What the mediator holds beside these is no business of ours, and would not end with it.
  std::array<int, 2> kept{socket.get(), spec.variables >= 0 ? spec.variables : socket.get()};
  std::ranges::sort(kept);
  const auto close = [](int first, int last) {
    return first > last || ::syscall(SYS_close_range, first, last, 0) == 0;
  };
  const bool alone = close(STDERR_FILENO + 1, kept[0] - 1) && close(kept[0] + 1, kept[1] - 1) &&
                     ::syscall(SYS_close_range, kept[1] + 1, ~0U, 0) == 0;
  if (!bound || !hidden || !alone) ::_exit(1);
  const Status served = serve(std::move(socket), spec);
  if (!served) log_error("{}", served.error().message);
  ::_exit(served ? 0 : 1);
}

}  // namespace

Result<Fd> start_process(const ProcessSpec& spec) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "cannot make a socket");
  }
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "cannot start the process that holds credentials");
  if (pid == 0) become_process(std::move(theirs), spec, parent);
  return ours;
}

Status serve(Fd socket, const ProcessSpec& spec) {
  Variables variables;
  if (spec.variables >= 0) {
    const Fd pipe(spec.variables);
    ::lseek(pipe.get(), 0, SEEK_SET);  // a file may have been read by another of us; a pipe has no beginning
    auto read = Variables::read_from(pipe.get());
    if (!read) return fail(read.error());
    variables = std::move(*read);
  }
  auto context = tls::ClientContext::make({{}, spec.trust});
  if (!context) return fail(context.error());
  const auto fetcher = make_fetcher(std::move(*context));
  const auto sources = std::make_shared<const Sources>(std::move(variables), fetcher);
  asio::io_context io(1);
  auto watched = watch(io.get_executor(), std::move(socket));
  if (!watched) return fail(watched.error());
  Server server(io, std::move(*watched), spec.swaps,
                std::make_shared<const Mint>(sources, fetcher, std::chrono::system_clock::now));
  asio::co_spawn(io, server.serve(), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  io.run();
  return {};
}

}  // namespace microagent::credentials

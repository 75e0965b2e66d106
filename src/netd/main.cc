// microagent-netd --supervisor-fd N --mediator-fd M: the guest's wire. Everything it may ever use it has in its hands
// when the sandbox closes, or is handed afterwards. With --tap it serves any tap by itself (standalone.h).

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/log.h"
#include "netd/daemon.h"
#include "netd/sandbox.h"
#include "netd/standalone.h"

namespace microagent::netd {
namespace {

struct Arguments {
  int supervisor_fd = -1;
  int mediator_fd = -1;
};

std::optional<int> parse_fd(std::string_view text) {
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc() || end != text.data() + text.size() || fd <= STDERR_FILENO) return std::nullopt;
  if (::fcntl(fd, F_GETFD) < 0) return std::nullopt;
  return fd;
}

Result<Arguments> start_standalone(std::span<char*> words) {
  const auto channels = Standalone::start(words);
  if (!channels) return fail(channels.error());
  return Arguments{channels->supervisor_fd, channels->mediator_fd};
}

std::optional<Arguments> parse_arguments(std::span<char*> words) {
  Arguments arguments;
  for (; words.size() >= 2; words = words.subspan(2)) {
    const std::string_view name = words[0];
    const auto fd = parse_fd(words[1]);
    if (!fd) return std::nullopt;
    if (name == "--supervisor-fd") arguments.supervisor_fd = *fd;
    else if (name == "--mediator-fd") arguments.mediator_fd = *fd;
    else return std::nullopt;
  }
  const bool complete = words.empty() && arguments.supervisor_fd >= 0 && arguments.mediator_fd >= 0;
  return complete ? std::optional(arguments) : std::nullopt;
}

template <typename T>
bool randomize(T& value) {
  return ::getrandom(&value, sizeof value, 0) == static_cast<ssize_t>(sizeof value);
}

// Linux 6.9 and later let a TCP socket be peeked at from where the last peek ended.
bool sockets_peek_at_offset() {
  const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int offset = 0;
  return probe && ::setsockopt(probe.get(), SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0;
}

Status serve(const Arguments& arguments) {
  if (Status raised = raise_limits(); !raised) return raised;
  Facts facts;
  if (!randomize(facts.stack_key) || !randomize(facts.vsock_key)) {
    return fail(ErrorKind::permanent, "cannot get random bytes");
  }
  facts.sockets_peek_at_offset = sockets_peek_at_offset();
  auto poller = Poller::make();
  if (!poller) return fail(poller.error());
  Daemon daemon(std::move(*poller), Fd(arguments.supervisor_fd), Fd(arguments.mediator_fd), facts);
  // The first line makes the C library read its time zone while it may still open files.
  log_info("starting");
  if (Status entered = enter_sandbox(); !entered) return entered;
  return daemon.run();
}

}  // namespace
}  // namespace microagent::netd

int main(int argc, char** argv) {
  using namespace microagent;
  set_log_name("netd");
  const std::span words(argv + 1, static_cast<std::size_t>(argc - 1));
  auto arguments = netd::parse_arguments(words);
  if (!arguments && !words.empty() && std::string_view(words[0]) == "--tap") {
    const auto standalone = netd::start_standalone(words);
    if (!standalone) {
      log_error("{}", standalone.error().message);
      return standalone.error().kind == ErrorKind::usage ? 2 : EXIT_FAILURE;
    }
    arguments = *standalone;
  }
  if (!arguments) {
    log_error("usage: {}\n   or: microagent-netd --supervisor-fd N --mediator-fd M (started by microagent-supervisor)",
              netd::Standalone::usage());
    return 2;
  }
  if (Status served = netd::serve(*arguments); !served) {
    log_error("{}", served.error().message);
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

#include "cli/health_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/last_line.h"
#include "base/pipe.h"
#include "cli/exec_session.h"
#include "cli/output.h"
#include "supervisor/client.h"

namespace microagent::cli {
namespace {

constexpr std::size_t kMaxFinding = 200;
constexpr std::size_t kMaxAnswer = 512;
constexpr int kBetter = 200, kWorse = 400;  // the codes of success and of redirection

// Keeps what a command said last.
struct TailSink final : ExecSink {
  int descriptor(wire::FrameType) const override { return -1; }
  Result<std::size_t> take(wire::FrameType, ByteView bytes) override {
    text.append(bytes.begin(), bytes.end());
    if (text.size() > kMaxFinding) text.erase(0, text.size() - kMaxFinding);
    return bytes.size();
  }
  std::string text;
};

Status run_command(const workspace::Store& store, const workspace::Manifest& manifest) {
  wire::ExecRequest request;
  request.argv = {"/bin/sh", "-c", manifest.upkeep.health->command};
  auto encoded = wire::encode_exec(request);
  if (!encoded) return fail(ErrorKind::usage, "the command is too long");
  auto stream = supervisor::open_exec(store, manifest.name);
  if (!stream) return fail(stream.error());
  ExecPlan plan;
  plan.request = std::move(*encoded);
  TailSink said;
  const auto end = run_exec(std::move(*stream), plan, said);
  if (!end) return fail(end.error());
  if (end->code == 0) return {};
  const std::string words = printable(last_line(end->failure.empty() ? said.text : end->failure));
  return fail(ErrorKind::permanent,
              fmt::format("the command ended with code {}{}{}", end->code, words.empty() ? "" : ": ", words));
}

// Where the guest's port is published; the port that was asked for may be any free one.
Result<workspace::Forward> find_forward(const workspace::Store& store, const workspace::Manifest& manifest) {
  const auto runtime = store.load_runtime(manifest.name);
  if (!runtime) return fail(runtime.error());
  for (const workspace::Forward& forward : runtime->forwards) {
    if (forward.protocol != workspace::Transport::tcp) continue;
    if (forward.guest_port == manifest.upkeep.health->http_port) return forward;
  }
  return fail(ErrorKind::permanent, fmt::format("port {} is not published", manifest.upkeep.health->http_port));
}

Result<Fd> connect_to(const workspace::Forward& forward) {
  // Who listens everywhere listens on the loopback too.
  std::string host = forward.host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(forward.host_port).c_str(), &hints, &found) != 0) {
    return fail(ErrorKind::permanent, fmt::format("{} is no address", host));
  }
  Fd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool connected = socket && ::connect(socket.get(), found->ai_addr, found->ai_addrlen) == 0;
  const int error = errno;
  ::freeaddrinfo(found);
  if (!connected) return fail_errno(error, fmt::format("cannot connect to {}:{}", host, forward.host_port));
  return socket;
}

// As much of the answer as its first line takes.
std::string read_answer(int socket) {
  std::string answer;
  std::array<char, kMaxAnswer> chunk;
  while (answer.size() < kMaxAnswer && answer.find('\n') == std::string::npos) {
    const ssize_t count = ::recv(socket, chunk.data(), chunk.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    answer.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return answer;
}

Status get_page(const workspace::Store& store, const workspace::Manifest& manifest) {
  const auto forward = find_forward(store, manifest);
  if (!forward) return fail(forward.error());
  const auto socket = connect_to(*forward);
  if (!socket) return fail(socket.error());
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
                                          manifest.upkeep.health->http_path, forward->guest_port);
  if (::send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return fail_errno(errno, "cannot send a request");
  }
  const int code = parse_http_status(read_answer(socket->get()));
  if (code == 0) return fail(ErrorKind::permanent, "what answers is no HTTP server");
  if (code >= kBetter && code < kWorse) return {};
  return fail(ErrorKind::permanent, fmt::format("the answer is {}", code));
}

// In a process of its own: what it finds goes through the pipe, nothing where all is well.
[[noreturn]] void probe(const workspace::Store& store, const workspace::Manifest& manifest, int finding, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(2);  // it has ended before it could be told so
  const Status found =
      manifest.upkeep.health->command.empty() ? get_page(store, manifest) : run_command(store, manifest);
  if (found) ::_exit(0);
  const std::string words = found.error().message.substr(0, kMaxFinding);
  const bool told = ::write(finding, words.data(), words.size()) >= 0;
  ::_exit(told ? 1 : 2);
}

}  // namespace

int parse_http_status(std::string_view answer) {
  constexpr std::string_view kVersion = "HTTP/1.";
  constexpr std::size_t kCodeAt = kVersion.size() + 2, kEnd = kCodeAt + 3;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (answer.size() <= kEnd || !answer.starts_with(kVersion)) return 0;
  if (!is_digit(answer[kVersion.size()]) || answer[kCodeAt - 1] != ' ') return 0;
  const std::string_view code = answer.substr(kCodeAt, 3);
  const char behind = answer[kEnd];
  if (!std::all_of(code.begin(), code.end(), is_digit) || code[0] == '0') return 0;
  if (behind != ' ' && behind != '\r' && behind != '\n') return 0;
  return (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
}

Result<HealthProbe> HealthProbe::begin(const workspace::Store& store, const workspace::Manifest& manifest) {
  auto pipe = make_pipe();
  if (!pipe) return fail(pipe.error());
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) return fail_errno(errno, "cannot make a process");
  if (child == 0) probe(store, manifest, pipe->write.get(), parent);
  return HealthProbe(child, std::move(pipe->read));
}

HealthProbe::HealthProbe(HealthProbe&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), finding_(std::move(other.finding_)) {}

HealthProbe::~HealthProbe() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Status HealthProbe::take() {
  std::array<char, kMaxFinding> words;
  const ssize_t size = ::read(finding_.get(), words.data(), words.size());
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (size > 0) return fail(ErrorKind::permanent, std::string(words.data(), static_cast<std::size_t>(size)));
  return fail(ErrorKind::permanent, "the probe ended without a finding");
}

Status HealthProbe::late(const workspace::Health& health) {
  return fail(ErrorKind::transient, fmt::format("no answer within {} s", health.timeout));
}

}  // namespace microagent::cli

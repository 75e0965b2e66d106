#include "credentials/helper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "credentials/sources.h"
#include "credentials/variables.h"

namespace microagent::credentials {
namespace {

// A program that was started; what is left of it at the end is killed, with the processes of its group, and buried.
class Running {
 public:
  explicit Running(pid_t pid) : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (pid_ >= 0) bury();
  }

  Fd take_pidfd() { return std::move(pidfd_); }

  // How it ended, if need be now. Until it is waited for, its number stays that of its group.
  int bury() {
    ::kill(-pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
  Fd pidfd_;
};

std::vector<std::string> words_of(const std::string& command) {
  std::istringstream stream(command);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

// Who we are and where programs lie; nothing else of ours is a helper's business.
std::vector<std::string> environment() {
  std::vector<std::string> list;
  for (const char* name : {"PATH", "LANG", "TZ"}) {
    if (const char* value = std::getenv(name)) list.push_back(fmt::format("{}={}", name, value));
  }
  if (const passwd* user = ::getpwuid(::getuid())) {
    list.push_back(fmt::format("HOME={}", user->pw_dir));
    list.push_back(fmt::format("USER={}", user->pw_name));
  }
  return list;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

int spawn_program(std::vector<std::string> words, int output, pid_t& pid) {
  std::vector<std::string> variables = environment();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  ::sigemptyset(&defaults);
  ::sigaddset(&defaults, SIGPIPE);
  ::sigaddset(&defaults, SIGXFSZ);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  const int error =
      ::posix_spawn(&pid, words[0].c_str(), &actions, &attributes, pointers(words).data(), pointers(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

struct Output {
  Secret text;
  bool too_long = false;
};

// To the end of the output, and of the program.
asio::awaitable<Output> collect(Descriptor output, Descriptor pidfd) {
  Secret buffer(kMaxSecret + 2);
  std::size_t size = 0;
  while (size < buffer.size()) {
    const std::size_t count = co_await read_some(output, mutable_bytes(buffer.bytes()).subspan(size), kNever);
    if (count == 0) break;
    size += count;
  }
  Output collected;
  collected.too_long = size == buffer.size();
  buffer.cut(size);
  collected.text = std::move(buffer);
  if (!collected.too_long) co_await wait_readable(pidfd, kNever);
  co_return collected;
}

}  // namespace

asio::awaitable<Result<Secret>> Helper::run(const std::string& command) const {
  using namespace asio::experimental::awaitable_operators;
  const auto executor = co_await asio::this_coro::executor;
  const std::vector<std::string> words = words_of(command);
  const auto failed = [&](std::string_view why) {
    return fail(ErrorKind::transient, fmt::format("the helper {} {}", words.empty() ? "" : words[0], why));
  };
  std::array<int, 2> ends{};
  if (words.empty() || ::pipe2(ends.data(), O_CLOEXEC) != 0) co_return failed("cannot be run");
  Fd ours(ends[0]), theirs(ends[1]);
  pid_t pid = -1;
  if (const int error = spawn_program(words, theirs.get(), pid); error != 0) {
    co_return failed(fmt::format("cannot be run: {}", errno_error(error, "start").message));
  }
  Running running(pid);
  theirs.reset();
  auto output = watch(executor, std::move(ours));
  auto pidfd = watch(executor, running.take_pidfd());
  if (!output || !pidfd) co_return failed("cannot be watched");
  asio::steady_timer timer(executor, patience_);
  auto first = co_await (collect(std::move(*output), std::move(*pidfd)) || timer.async_wait(kAsTuple));
  if (first.index() == 1) co_return failed("took too long");
  Output collected = std::move(std::get<0>(first));
  if (collected.too_long) co_return failed(fmt::format("printed more than {} bytes", kMaxSecret));
  const int status = running.bury();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    co_return failed(WIFEXITED(status) ? fmt::format("exited with code {}", WEXITSTATUS(status)) : "was killed");
  }
  trim_line_end(collected.text);
  if (collected.text.empty()) co_return failed("printed nothing");
  co_return std::move(collected.text);
}

}  // namespace microagent::credentials

#include "cli/captured_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/fd.h"
#include "base/last_line.h"
#include "base/pipe.h"

namespace microagent::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxOutput = 1024 * 1024;

struct Running {
  pid_t pid = -1;
  Fd output;
};

Result<Running> spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments) {
  auto pipe = make_pipe();
  if (!pipe) return fail(pipe.error());
  const Fd writing = std::move(pipe->write);
  Running running{-1, std::move(pipe->read)};

  std::vector<std::string> words = {program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDERR_FILENO);
  const int error = ::posix_spawn(&running.pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_errno(error, fmt::format("cannot run {}", program.string()));
  return running;
}

// Reads to the end of the output; false when the deadline comes first.
bool read_all(int fd, Clock::time_point deadline, std::string& output) {
  std::array<char, 16 * 1024> chunk;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd polled{fd, POLLIN, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count <= 0) return true;
    output.append(chunk.data(), std::min(static_cast<std::size_t>(count), kMaxOutput - output.size()));
  }
}

}  // namespace

Result<std::string> run_captured(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                                 std::chrono::milliseconds deadline) {
  const auto running = spawn(program, arguments);
  if (!running) return fail(running.error());
  std::string output;
  const bool in_time = read_all(running->output.get(), Clock::now() + deadline, output);
  if (!in_time) ::kill(running->pid, SIGKILL);
  int status = 0;
  while (::waitpid(running->pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) return fail(ErrorKind::permanent, fmt::format("{} gives no answer", program.string()));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
  return fail(ErrorKind::permanent, fmt::format("{} does not run: {}", program.string(), last_line(output)));
}

}  // namespace microagent::cli

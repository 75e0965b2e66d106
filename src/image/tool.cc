#include "image/tool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "base/fd.h"
#include "base/last_line.h"
#include "base/pipe.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxOutput = 16 * 1024 * 1024, kMaxComplaint = 64 * 1024;

std::string package_of(std::string_view name) {
  if (name == "mke2fs" || name == "resize2fs") return "e2fsprogs";
  if (name == "qemu-img") return "qemu-utils";
  return std::string(name);
}

[[noreturn]] void become(const fs::path& program, char* const* argv, pid_t parent, int input, int output, int error) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(error, 2) < 0) ::_exit(127);
  ::execv(program.c_str(), argv);
  ::_exit(127);
}

// Reads both until they end. Output beyond the limit is lost, which a caller sees as text that makes no sense.
void drain(const Fd& output, const Fd& error, std::string& out, std::string& err) {
  std::array<pollfd, 2> wanted{pollfd{output.get(), POLLIN, 0}, pollfd{error.get(), POLLIN, 0}};
  std::array<char, 16 * 1024> chunk;
  while (wanted[0].fd >= 0 || wanted[1].fd >= 0) {
    if (::poll(wanted.data(), wanted.size(), -1) < 0) {
      if (errno == EINTR) continue;  // and says nothing of what can be read
      return;
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i].fd < 0 || wanted[i].revents == 0) continue;
      const ssize_t count = ::read(wanted[i].fd, chunk.data(), chunk.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        wanted[i].fd = -1;
        continue;
      }
      std::string& text = i == 0 ? out : err;
      text.append(chunk.data(), static_cast<std::size_t>(count));
      // Of complaints the last ones count.
      if (i == 1 && text.size() > kMaxComplaint) text.erase(0, text.size() - kMaxComplaint / 2);
      if (i == 0 && text.size() > kMaxOutput) text.resize(kMaxOutput);
    }
  }
}

std::string reason_in(std::string_view complaints) {
  const std::string_view line = last_line(complaints);
  return line.empty() ? "it gave no reason" : std::string(line);
}

}  // namespace

Result<fs::path> find_tool(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(fmt::format("{}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", path ? path : ""));
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (!directory.starts_with('/')) continue;
    fs::path candidate = fs::path(directory) / name;
    std::error_code error;
    if (fs::is_regular_file(candidate, error) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail(ErrorKind::not_found, fmt::format("{} is not installed: it is nowhere in PATH", name),
              fmt::format("install it (Debian: apt-get install {})", package_of(name)));
}

Result<std::string> run_tool(std::string_view name, const std::vector<std::string>& arguments) {
  const auto program = find_tool(name);
  if (!program) return fail(program.error());
  auto output = make_pipe(), error = make_pipe();
  if (!output || !error) return fail(!output ? output.error() : error.error());
  const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing) return fail_errno(errno, "cannot open /dev/null");

  std::vector<std::string> words{std::string(name)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "cannot start a process");
  if (child == 0) become(*program, argv.data(), parent, nothing.get(), output->write.get(), error->write.get());
  output->write.reset();
  error->write.reset();
  std::string out, err;
  drain(output->read, error->read, out, err);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return out;
  if (WIFSIGNALED(status)) {
    return fail(ErrorKind::permanent, fmt::format("{} was ended by signal {}", name, WTERMSIG(status)), "try again");
  }
  return fail(ErrorKind::permanent, fmt::format("{}: {}", name, reason_in(err)), "see the message");
}

}  // namespace microagent::image

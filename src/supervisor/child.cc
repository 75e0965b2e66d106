#include "supervisor/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "supervisor/confinement.h"

namespace microagent::supervisor {
namespace {

// What a child tells before it becomes the program; silence until the pipe closes means that all went well.
enum class Stage : int { network, privileges, parent, descriptors, program };
struct Complaint {
  Stage stage{};
  int error = 0;
};

std::string_view what_failed(Stage stage) {
  switch (stage) {
    case Stage::network: return "cannot make a network namespace";
    case Stage::privileges: return "cannot give up its privileges";
    case Stage::parent: return "cannot bind its life to its parent's";
    case Stage::descriptors: return "cannot arrange its descriptors";
    case Stage::program: return "cannot be run";
  }
  return "cannot start";
}

// Words for execve, which wants them writable and null-terminated.
class WordList {
 public:
  explicit WordList(std::vector<std::string> words) : words_(std::move(words)) {
    for (std::string& word : words_) pointers_.push_back(word.data());
    pointers_.push_back(nullptr);
  }
  char* const* get() { return pointers_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

// The caller's environment may hold secrets that are no business of a process that faces the guest.
std::vector<std::string> small_environment() {
  std::vector<std::string> environment;
  for (const char* name : {"PATH", "LANG", "TZ", "MICROAGENT_DEBUG", "ASAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

std::vector<std::string> command_of(const ChildSpec& spec) {
  std::vector<std::string> command{spec.program.string()};
  command.insert(command.end(), spec.arguments.begin(), spec.arguments.end());
  return command;
}

void complain(int pipe, Stage stage, int error) {
  const Complaint complaint{stage, error};
  [[maybe_unused]] const auto written = ::write(pipe, &complaint, sizeof complaint);
}

// Puts every descriptor in its place. All are first copied out of the way, since a place may hold another one's source.
int arrange_descriptors(const ChildSpec& spec, int pipe) {
  constexpr int kOutOfTheWay = 64;
  std::vector<int> sources{::open("/dev/null", O_RDONLY | O_CLOEXEC), spec.standard_output, spec.standard_error};
  sources.insert(sources.end(), spec.descriptors.begin(), spec.descriptors.end());
  for (int& source : sources) {
    source = ::fcntl(source, F_DUPFD_CLOEXEC, kOutOfTheWay);
    if (source < 0) return errno;
  }
  if (::fcntl(pipe, F_SETFD, FD_CLOEXEC) != 0) return errno;
  for (std::size_t place = 0; place < sources.size(); ++place) {
    if (::dup2(sources[place], static_cast<int>(place)) < 0) return errno;
  }
  const auto first_foreign = static_cast<unsigned>(sources.size());
  return ::syscall(SYS_close_range, first_foreign, ~0U, CLOSE_RANGE_CLOEXEC) == 0 ? 0 : errno;
}

void reset_signals() {
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGXFSZ, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(const ChildSpec& spec, char* const* command, char* const* environment, pid_t parent,
                         int pipe) {
  reset_signals();
  if (spec.leave_network) {
    // Not the only wall around it, so a host that allows no namespace is no reason not to start.
    if (const int error = leave_network(); error != 0) complain(pipe, Stage::network, error);
  }
  Stage stage = Stage::privileges;
  int error = drop_privileges();
  if (error == 0) {
    stage = Stage::parent;
    error = die_with_parent(parent);
  }
  if (error == 0) {
    stage = Stage::descriptors;
    error = arrange_descriptors(spec, pipe);
  }
  if (error == 0) {
    stage = Stage::program;
    ::execve(command[0], command, environment);
    error = errno;
  }
  complain(pipe, stage, error);
  ::_exit(127);
}

// Reads complaints until the child has become the program or given up; the one that ended it, if any.
std::optional<Complaint> read_complaints(int pipe, std::optional<std::string>& kept_network) {
  Complaint complaint;
  for (;;) {
    const ssize_t count = ::read(pipe, &complaint, sizeof complaint);
    if (count < 0 && errno == EINTR) continue;
    if (count != static_cast<ssize_t>(sizeof complaint)) return std::nullopt;
    if (complaint.stage != Stage::network) return complaint;
    kept_network = fmt::format("{}: {}", what_failed(Stage::network), std::strerror(complaint.error));
  }
}

void wait_for(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<Child> start_child(const ChildSpec& spec) {
  WordList command(command_of(spec));
  WordList environment(small_environment());
  // Far from the places that arrange_descriptors fills.
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
  const Fd ours(ends[0]);
  Fd theirs(::fcntl(ends[1], F_DUPFD_CLOEXEC, 128));
  ::close(ends[1]);
  if (!theirs) return fail_errno(errno, "cannot make a pipe");

  const pid_t parent = ::getpid();
  Child child;
  child.pid = ::fork();
  if (child.pid < 0) return fail_errno(errno, "cannot start a process");
  if (child.pid == 0) become(spec, command.get(), environment.get(), parent, theirs.get());

  theirs.reset();
  const auto complaint = read_complaints(ours.get(), child.kept_network);
  child.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  if (complaint || !child.pidfd) {
    const int error = complaint ? complaint->error : errno;
    const auto what = complaint ? what_failed(complaint->stage) : "cannot be watched";
    ::kill(child.pid, SIGKILL);
    wait_for(child.pid);
    return fail_errno(error, fmt::format("{} {}", spec.program.string(), what));
  }
  return child;
}

std::string describe(const ChildEnd& end) {
  if (end.signal == 0) return fmt::format("exited with code {}", end.code);
  const char* name = ::sigabbrev_np(end.signal);
  return fmt::format("was killed by signal {} (SIG{})", end.signal, name != nullptr ? name : "?");
}

std::optional<ChildEnd> reap(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, WNOHANG) != pid) return std::nullopt;
  if (WIFSIGNALED(status)) return ChildEnd{0, WTERMSIG(status)};
  return ChildEnd{WEXITSTATUS(status), 0};
}

}  // namespace microagent::supervisor

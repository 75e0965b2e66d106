#include "init/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>

#include "base/pipe.h"
#include "init/terminal.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr int kVerdictPlace = 3;  // in the child, behind the standard descriptors

// Open files a process may have: what Debian's systemd gives a service.
constexpr rlimit kOpenFiles{1024, 524'288};

// What a child tells before it becomes the command; silence until its end of the pipe closes means that it began.
enum class Stage : int { descriptors, workdir, identity, command };
struct Complaint {
  Stage stage{};
  int error = 0;
};

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

Status make_nonblocking(const Fd& fd) {
  if (::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK) == 0) return {};
  return fail_errno(errno, "cannot arrange a descriptor");
}

// The child's standard descriptors.
struct Ends {
  Fd input, output, error_output;
};

Status make_pipes(Process& process, Ends& ends) {
  auto input = make_pipe(), output = make_pipe(), error_output = make_pipe();
  for (const auto* pipe : {&input, &output, &error_output}) {
    if (!*pipe) return fail(pipe->error());
  }
  ends = {std::move(input->read), std::move(output->write), std::move(error_output->write)};
  process.input = std::move(input->write);
  process.output = std::move(output->read);
  process.error_output = std::move(error_output->read);
  for (const Fd* fd : {&process.input, &process.output, &process.error_output}) {
    if (Status set = make_nonblocking(*fd); !set) return set;
  }
  return {};
}

Status make_terminal(Process& process, Ends& ends, const wire::TerminalSize& size) {
  auto terminal = open_terminal(size);
  if (!terminal) return fail(terminal.error());
  ends.input = std::move(terminal->theirs);
  process.output = std::move(terminal->ours);
  process.input = Fd(::fcntl(process.output.get(), F_DUPFD_CLOEXEC, 0));
  if (!process.input) return fail_errno(errno, "cannot arrange a descriptor");
  return {};
}

Status make_streams(const ProcessSpec& spec, Process& process, Ends& ends) {
  switch (spec.streams) {
    case Streams::pipes: return make_pipes(process, ends);
    case Streams::terminal: return make_terminal(process, ends, spec.size);
    case Streams::console: break;
  }
  ends.input = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!ends.input) return fail_errno(errno, "cannot open /dev/null");
  return {};
}

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// The standard descriptors and the verdict in their places, and nothing else open.
int arrange_descriptors(Streams streams, const Ends& ends, int verdict) {
  constexpr int kOutOfTheWay = 64;
  const bool console = streams == Streams::console, terminal = streams == Streams::terminal;
  const std::array<int, 4> sources{ends.input.get(),
                                   console    ? STDOUT_FILENO
                                   : terminal ? ends.input.get()
                                              : ends.output.get(),
                                   console    ? STDERR_FILENO
                                   : terminal ? ends.input.get()
                                              : ends.error_output.get(),
                                   verdict};
  std::array<int, 4> copies{};
  for (std::size_t place = 0; place < sources.size(); ++place) {
    copies[place] = ::fcntl(sources[place], F_DUPFD_CLOEXEC, kOutOfTheWay);
    if (copies[place] < 0) return errno;
  }
  for (std::size_t place = 0; place < copies.size(); ++place) {
    if (::dup2(copies[place], static_cast<int>(place)) < 0) return errno;
  }
  if (::fcntl(kVerdictPlace, F_SETFD, FD_CLOEXEC) != 0) return errno;
  if (::syscall(SYS_close_range, kVerdictPlace + 1, ~0U, 0) != 0) return errno;
  if (terminal && ::ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0) return errno;
  return 0;
}

// What the process writes to is its own, so that it may open /dev/stdout again, which programs' logs are led to.
int give_streams(const ProcessSpec& spec) {
  const int first = spec.streams == Streams::console ? STDOUT_FILENO : STDIN_FILENO;
  for (int place = first; place <= STDERR_FILENO; ++place) {
    if (::fchown(place, spec.identity.uid, static_cast<gid_t>(-1)) != 0) return errno;
  }
  return 0;
}

int assume(const ProcessSpec& spec) {
  const Identity& identity = spec.identity;
  if (identity.is_root() && identity.groups.empty()) return 0;
  if (const int error = give_streams(spec); error != 0) return error;
  if (::setgroups(identity.groups.size(), identity.groups.data()) != 0 || ::setgid(identity.gid) != 0 ||
      ::setuid(identity.uid) != 0) {
    return errno;
  }
  return 0;
}

// Tries every file that the word may mean; the error that says most about why none of them ran.
int become(const ProcessSpec& spec, char* const* argv, char* const* environment) {
  int error = ENOENT;
  for (const std::string& file : candidates(spec.argv[0], spec.environment)) {
    ::execve(file.c_str(), argv, environment);
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) return error;
  }
  return error;
}

[[noreturn]] void give_up(Stage stage, int error) {
  const Complaint complaint{stage, error};
  [[maybe_unused]] const auto written = ::write(kVerdictPlace, &complaint, sizeof complaint);
  ::_exit(127);
}

[[noreturn]] void live_as_child(const ProcessSpec& spec, const Ends& ends, int verdict) {
  WordList argv(spec.argv), environment(spec.environment);
  ::setsid();
  reset_signals();
  (void)::setrlimit(RLIMIT_NOFILE, &kOpenFiles);  // lower than init's own, which cannot fail
  if (const int error = arrange_descriptors(spec.streams, ends, verdict); error != 0)
    give_up(Stage::descriptors, error);
  if (::chdir(spec.workdir.c_str()) != 0) give_up(Stage::workdir, errno);
  if (spec.body) {
    ::close(kVerdictPlace);
    ::_exit(spec.body());
  }
  if (const int error = assume(spec); error != 0) give_up(Stage::identity, error);
  give_up(Stage::command, become(spec, argv.get(), environment.get()));
}

// Whether a process lives and belongs to the session, from /proc/PID/stat: PID (NAME) STATE PPID PGRP SESSION. The name
// may hold anything.
bool lives_in(pid_t session, std::string_view pid) {
  const Fd file(::open(concat("/proc/", pid, "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 512> text{};
  const ssize_t count = ::read(file.get(), text.data(), text.size() - 1);
  const char* name_end = count > 0 ? std::strrchr(text.data(), ')') : nullptr;
  char state = 0;
  pid_t found = 0;
  if (name_end == nullptr || std::sscanf(name_end, ") %c %*d %*d %d", &state, &found) != 2) return false;
  return found == session && state != 'Z' && state != 'X';
}

// How many it has found and killed.
int kill_members(pid_t session) {
  DIR* processes = ::opendir("/proc");
  if (processes == nullptr) return 0;
  int killed = 0;
  while (const dirent* entry = ::readdir(processes)) {
    const std::string_view name(entry->d_name);
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size() || !lives_in(session, name)) continue;
    ::kill(pid, SIGKILL);
    ++killed;
  }
  ::closedir(processes);
  return killed;
}

}  // namespace

Result<Process> start_process(const ProcessSpec& spec) {
  Process process;
  Ends ends;
  if (Status made = make_streams(spec, process, ends); !made) return fail(made.error());
  auto verdict = make_pipe();
  if (!verdict) return fail(verdict.error());
  if (Status set = make_nonblocking(verdict->read); !set) return fail(set.error());
  process.pid = ::fork();
  if (process.pid < 0) return fail_errno(errno, "cannot start a process");
  if (process.pid == 0) live_as_child(spec, ends, verdict->write.get());
  process.verdict = std::move(verdict->read);
  return process;
}

std::optional<StartFailure> take_start_failure(int verdict, const ProcessSpec& spec) {
  Complaint complaint;
  if (::read(verdict, &complaint, sizeof complaint) != static_cast<ssize_t>(sizeof complaint)) return std::nullopt;
  const char* why = std::strerror(complaint.error);
  switch (complaint.stage) {
    case Stage::descriptors: return StartFailure{126, concat("cannot arrange the descriptors of a command: ", why)};
    case Stage::workdir: return StartFailure{126, concat("cannot enter the directory ", spec.workdir, ": ", why)};
    case Stage::identity: return StartFailure{126, concat("cannot become the user ", spec.identity.name, ": ", why)};
    case Stage::command: break;
  }
  const std::uint32_t code = complaint.error == ENOENT ? 127 : 126;
  return StartFailure{code, concat("cannot run ", spec.argv[0], ": ", why)};
}

void kill_session(pid_t session) {
  ::kill(session, SIGKILL);  // which has no session of its own yet while it is being started
  ::kill(-session, SIGKILL);
  // What was being forked meanwhile is found by looking again; what forks faster than this is not worth more.
  constexpr int kLooks = 8;
  for (int i = 0; i < kLooks && kill_members(session) != 0; ++i) {
  }
}

}  // namespace microagent::init

#include "supervisor/client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <span>
#include <thread>

#include "base/pipe.h"
#include "supervisor/control_protocol.h"
#include "supervisor/line_reader.h"
#include "supervisor/peer_process.h"
#include "supervisor/programs.h"
#include "supervisor/report.h"
#include "supervisor/sockets.h"
#include "workspace/runtime_json.h"

namespace microagent::supervisor {
namespace {

// What the supervisor may take beyond the time it was given: starting its workers, ending them, cleaning up.
constexpr std::chrono::seconds kMargin{60};
constexpr std::chrono::milliseconds kBetweenStates{50};
constexpr std::chrono::seconds kLongestAsk{3600};
constexpr int kFirstPlace = 3, kOutOfTheWay = 64;
constexpr std::size_t kMostPassed = 3;
// What the mediator may take to let an order take effect.
constexpr std::chrono::seconds kMediatorPatience{30};
constexpr std::chrono::seconds kPortsPatience{30};  // who holds a port is looked up in /proc

// Becomes the supervisor, which nothing ties to us but a leash: a session of its own, no terminal, and a parent that is
// init, since the process between us ends at once. Only system calls: the words were made before the fork.
[[noreturn]] void become_supervisor(char* const* command, char* const* environment, std::span<const int> passed) {
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  // With a standard stream of ours it would hold up whoever reads that to its end.
  const int null = ::open("/dev/null", O_RDWR);
  bool placed = null >= 0 && ::chdir("/") == 0;
  for (const int place : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    placed = placed && ::dup2(null, place) == place;
  }
  // First out of the way of the places that they are to have.
  std::array<int, kMostPassed> moved{};
  for (std::size_t i = 0; i < passed.size(); ++i) moved[i] = ::fcntl(passed[i], F_DUPFD_CLOEXEC, kOutOfTheWay);
  for (std::size_t i = 0; i < passed.size(); ++i) {
    placed = placed && ::dup2(moved[i], kFirstPlace + static_cast<int>(i)) >= 0;
  }
  if (placed) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::syscall(SYS_close_range, kFirstPlace + static_cast<unsigned>(passed.size()), ~0U, CLOSE_RANGE_CLOEXEC);
    ::execve(command[0], command, environment);
  }
  ::_exit(127);
}

// For execve, which wants them writable and null-terminated.
std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// The first of the descriptors becomes the supervisor's kFirstPlace, and so on.
Status spawn_supervisor(std::vector<std::string> words, std::vector<std::string> entries, std::span<const int> passed) {
  const auto command = pointers_to(words), environment = pointers_to(entries);
  const pid_t between = ::fork();
  if (between < 0) return fail_errno(errno, "cannot start the supervisor");
  if (between == 0) become_supervisor(command.data(), environment.data(), passed);
  while (::waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
  }
  return {};
}

// Waits for the last word of a starting supervisor.
Status follow(LineReader& reports, const std::function<void(std::string_view)>& progress, Leash* leash) {
  std::optional<Error> failure;
  std::string line;
  for (;;) {
    switch (reports.next(line)) {
      case LineReader::Outcome::line: break;
      case LineReader::Outcome::interrupted:
        // The supervisor gives up, and says so when nothing is left.
        leash->held.reset();
        reports.heed(-1);
        continue;
      case LineReader::Outcome::timed_out:
        return fail(ErrorKind::transient, "the supervisor does not say how the start goes on", "see supervisor.log");
      case LineReader::Outcome::end:
        // It ends after its last word, so that nothing of it is left when we return.
        if (failure) return fail(*failure);
        return fail(ErrorKind::permanent, "the supervisor ended without a word", "see supervisor.log");
    }
    const auto report = parse_report(line);
    if (!report) continue;
    if (report->kind == Report::Kind::progress && progress) progress(report->text);
    if (report->kind == Report::Kind::running) return {};
    if (report->kind == Report::Kind::failed) failure = report->error;
  }
}

tl::unexpected<Error> not_reachable(const workspace::Store& store, const std::string& name) {
  const auto locked = store.locked(name);
  if (!locked) return fail(locked.error());
  if (*locked) {
    return fail(ErrorKind::transient, fmt::format("workspace {} is just starting or ending", name), "try again");
  }
  return fail(ErrorKind::conflict, fmt::format("workspace {} is not running", name),
              fmt::format("start it with: microagent start {}", name));
}

struct Answer {
  nlohmann::json result;
  Fd passed;
};

// Sends one request; the answer comes over the socket that is returned.
Result<Fd> send_request(const workspace::Store& store, const std::string& name, const ControlRequest& request) {
  if (!store.exists(name)) return fail(ErrorKind::not_found, fmt::format("there is no workspace {}", name));
  auto directory = open_directory(store.directory(name));
  if (!directory) return fail(directory.error());
  auto socket = connect_in(directory->get(), kControlSocket);
  if (!socket) return not_reachable(store, name);
  const std::string line = encode_control_request(request);
  if (::send(socket->get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    return not_reachable(store, name);
  }
  return std::move(*socket);
}

Result<Answer> read_answer(Fd socket, const std::string& name, std::chrono::seconds patience) {
  LineReader replies(std::move(socket), LineReader::Clock::now() + patience);
  std::string reply;
  switch (replies.next(reply)) {
    case LineReader::Outcome::line: break;
    case LineReader::Outcome::end:
      return fail(ErrorKind::permanent, fmt::format("the supervisor of {} ended without an answer", name),
                  "see supervisor.log in the workspace's directory");
    case LineReader::Outcome::interrupted:
    case LineReader::Outcome::timed_out:
      return fail(ErrorKind::transient, fmt::format("the supervisor of {} does not answer", name),
                  fmt::format("try again, or end it: microagent kill {}", name));
  }
  auto result = parse_control_reply(reply);
  if (!result) return fail(result.error());
  return Answer{std::move(*result), replies.take_passed()};
}

// Sends one request and waits for its answer.
Result<Answer> ask(const workspace::Store& store, const std::string& name, const ControlRequest& request,
                   std::chrono::seconds patience) {
  auto socket = send_request(store, name, request);
  if (!socket) return fail(socket.error());
  return read_answer(std::move(*socket), name, patience);
}

Result<workspace::Runtime> end(const workspace::Store& store, const std::string& name, const ControlRequest& request) {
  const auto answer = ask(store, name, request, request.timeout + kMargin);
  if (!answer) return fail(answer.error());
  return store.load_runtime(name);
}

}  // namespace

Result<workspace::Runtime> start(const workspace::Store& store, const std::string& name,
                                 std::chrono::seconds ready_timeout,
                                 const std::function<void(std::string_view)>& progress, const SwapVariables& variables,
                                 Leash* leash) {
  const auto directory = find_program_directory();
  if (!directory) return fail(directory.error());
  const auto program = find_program(*directory, "microagent-supervisor");
  if (!program) return fail(program.error());
  auto report = make_pipe();
  if (!report) return fail(report.error());
  auto tether = make_pipe();
  if (!tether) return fail(tether.error());
  std::error_code error;
  const auto root = std::filesystem::absolute(store.root(), error);
  if (error) return fail_errno(error.value(), "cannot find the state directory");
  std::vector<std::string> words = {program->string(),
                                    "--state-dir",
                                    root.string(),
                                    "--workspace",
                                    name,
                                    "--report-fd",
                                    std::to_string(kFirstPlace),
                                    "--ready-timeout",
                                    std::to_string(ready_timeout.count())};
  std::vector<int> passed = {report->write.get()};
  const auto pass = [&](const char* flag, int fd) {
    words.insert(words.end(), {flag, std::to_string(kFirstPlace + passed.size())});
    passed.push_back(fd);
  };
  Fd secrets;
  if (!variables.empty()) {
    auto pipe = variables.to_pipe();
    if (!pipe) return fail(pipe.error());
    secrets = std::move(*pipe);
    pass("--variables-fd", secrets.get());
  }
  if (leash != nullptr) {
    pass("--leash-fd", tether->read.get());
    if (leash->discard) words.emplace_back("--discard");
    if (leash->for_a_copy) words.emplace_back("--for-a-copy");
    leash->held = std::move(tether->write);
  }
  const Status spawned = spawn_supervisor(std::move(words), variables.other_environment(), passed);
  if (!spawned) return fail(spawned.error());
  report->write.reset();
  LineReader reports(std::move(report->read), LineReader::Clock::now() + ready_timeout + kMargin);
  if (leash != nullptr) reports.heed(leash->interrupt);
  if (Status started = follow(reports, progress, leash); !started) return fail(started.error());
  return store.load_runtime(name);
}

Result<workspace::Runtime> stop(const workspace::Store& store, const std::string& name, std::chrono::seconds timeout) {
  return end(store, name, {.command = ControlRequest::Command::stop, .timeout = timeout});
}

Result<workspace::Runtime> kill(const workspace::Store& store, const std::string& name, std::chrono::seconds patience) {
  auto socket = send_request(store, name, {.command = ControlRequest::Command::kill});
  if (!socket) return fail(socket.error());
  const auto supervisor = peer_process(socket->get());
  const auto answer = read_answer(std::move(*socket), name, patience);
  if (answer) return store.load_runtime(name);
  // One that hangs is ended as it ends its guest: at once. Its workers go with it.
  if (!answer.error().retryable() || !supervisor) return fail(answer.error());
  if (Status ended = end_process(*supervisor); !ended) return fail(ended.error());
  return store.load_settled_runtime(name);
}

Result<workspace::Runtime> wait(const workspace::Store& store, const std::string& name, std::chrono::seconds limit) {
  const auto deadline = LineReader::Clock::now() + limit;
  for (;;) {
    auto runtime = store.load_settled_runtime(name);
    if (!runtime || !workspace::is_alive(runtime->state) || runtime->exit_code) return runtime;
    const auto left = std::chrono::ceil<std::chrono::seconds>(deadline - LineReader::Clock::now());
    if (left <= std::chrono::seconds(0)) {
      return fail(ErrorKind::transient, fmt::format("workspace {} has not ended within {} s", name, limit.count()),
                  "wait longer");
    }
    // Whatever the answer, the record tells what has happened. A supervisor that is only about to listen, or to be
    // gone, gives no sign of it; hence the pause.
    (void)ask(store, name, {.command = ControlRequest::Command::wait}, std::min(left, kLongestAsk));
    std::this_thread::sleep_for(kBetweenStates);
  }
}

Result<Fd> watch_end(const workspace::Store& store, const std::string& name) {
  return send_request(store, name, {.command = ControlRequest::Command::end});
}

Status end_copy(const workspace::Store& store, const std::string& name, Leash leash) {
  auto socket = watch_end(store, name);
  leash.held.reset();
  if (!socket) {
    return fail(ErrorKind::transient,
                fmt::format("what was copied may be lost, since the guest that was booted for it has ended before: {}",
                            socket.error().message),
                "copy it again");
  }
  const auto answer = read_answer(std::move(*socket), name, kDefaultStopTimeout + kMargin);
  if (!answer) return fail(answer.error());
  return {};
}

Result<nlohmann::json> usage(const workspace::Store& store, const std::string& name) {
  constexpr std::chrono::seconds kPatience{5};
  auto answer = ask(store, name, {.command = ControlRequest::Command::usage}, kPatience);
  if (!answer) return fail(answer.error());
  return std::move(answer->result);
}

Result<std::optional<workspace::Event>> pending_event(const workspace::Store& store, const std::string& name) {
  constexpr std::chrono::seconds kPatience{1};
  const auto answer = ask(store, name, {.command = ControlRequest::Command::pending}, kPatience);
  if (!answer) return fail(answer.error());
  const auto found = answer->result.find("event");
  if (found == answer->result.end()) return std::nullopt;
  auto event = workspace::event_from_json(*found, "the supervisor's answer");
  if (!event) return fail(event.error());
  return std::move(*event);
}

Status tell_health(const workspace::Store& store, const std::string& name, bool healthy, const std::string& finding) {
  constexpr std::chrono::seconds kPatience{5};
  ControlRequest request{.command = ControlRequest::Command::health};
  request.healthy = healthy;
  request.finding = finding;
  const auto answer = ask(store, name, request, kPatience);
  if (!answer) return fail(answer.error());
  return {};
}

Result<Fd> open_exec(const workspace::Store& store, const std::string& name) {
  constexpr std::chrono::seconds kPatience{15};
  auto answer = ask(store, name, {.command = ControlRequest::Command::exec}, kPatience);
  if (!answer) return fail(answer.error());
  if (answer->passed) return std::move(answer->passed);
  return fail(ErrorKind::permanent, "the supervisor's answer lacks the stream it promises");
}

Result<nlohmann::json> apply_policy(const workspace::Store& store, const std::string& name) {
  auto answer = ask(store, name, {.command = ControlRequest::Command::policy}, kMediatorPatience);
  if (!answer) return fail(answer.error());
  return std::move(answer->result);
}

Result<workspace::Runtime> apply_ports(const workspace::Store& store, const std::string& name) {
  const auto answer = ask(store, name, {.command = ControlRequest::Command::ports}, kPortsPatience);
  if (!answer) return fail(answer.error());
  return store.load_runtime(name);
}

Result<nlohmann::json> ask_mediator(const workspace::Store& store, const std::string& name,
                                    const nlohmann::json& question, std::chrono::seconds patience) {
  ControlRequest request{.command = ControlRequest::Command::ask};
  request.question = question.dump();
  auto answer = ask(store, name, request, patience);
  if (!answer) return fail(answer.error());
  return std::move(answer->result);
}

Result<workspace::Runtime> quarantine(const workspace::Store& store, const std::string& name) {
  const auto answer = ask(store, name, {.command = ControlRequest::Command::quarantine}, kMediatorPatience);
  if (!answer) return fail(answer.error());
  return store.load_runtime(name);
}

}  // namespace microagent::supervisor

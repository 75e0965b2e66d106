#include "init/own_init.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/pipe.h"
#include "init/console.h"
#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

// systemd(1): "SIGRTMIN+4: powers off the machine". Kernel numbers of glibc's real-time signals.
constexpr int kSystemdPowerOff = 34 + 4;

[[noreturn]] void wait_and_become(const Fd& way, const std::string& program) {
  char go = 0;
  ssize_t count = 0;
  do count = ::read(way.get(), &go, 1);
  while (count < 0 && errno == EINTR);
  // The other half could not set the guest up, and has said why. The end of process 1 is a panic, which ends all.
  if (count != 1) ::_exit(1);
  ::signal(SIGPIPE, SIG_DFL);
  std::string word = program;
  std::array<char*, 2> argv{word.data(), nullptr};
  std::array<char, 80> path{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  std::array<char, 16> terminal{"TERM=linux"};
  std::array<char*, 3> environment{path.data(), terminal.data(), nullptr};
  ::execve(word.c_str(), argv.data(), environment.data());
  say(concat("cannot run the image's init ", program, ": error ", errno));
  ::_exit(1);
}

}  // namespace

Result<Fd> make_way_for(const std::string& program) {
  if (::access(program.c_str(), X_OK) != 0) return fail_errno(errno, concat("cannot run the image's init ", program));
  auto pipe = make_pipe();
  if (!pipe) return fail(pipe.error());
  Fd read = std::move(pipe->read), write = std::move(pipe->write);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "cannot start a process");
  if (child > 0) {
    write.reset();
    wait_and_become(read, program);
  }
  ::setsid();
  // What commands leave behind stays with us and not with an init that may not expect it.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return write;
}

void be_process_1(const Fd& way) {
  const char go = 1;
  [[maybe_unused]] const auto written = ::write(way.get(), &go, 1);
}

void ask_process_1_to_end(int signal) {
  constexpr std::size_t kMaxName = 64;
  const auto name = read_file("/proc/1/comm", kMaxName);
  const bool systemd = name && *name == "systemd\n";
  ::kill(1, systemd ? kSystemdPowerOff : signal != 0 ? signal : SIGTERM);
}

}  // namespace microagent::init

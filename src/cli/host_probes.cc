#include "cli/host_probes.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/close_range.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

#include "base/fd.h"
#include "supervisor/programs.h"
#include "workspace/forward.h"
#include "workspace/state.h"

namespace microagent::cli {
namespace {

using workspace::Forward;
using workspace::Transport;

constexpr const char* kPorts = "ports";
constexpr const char* kFirstFreeFile = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

// 0 where it can be bound, else an errno.
int try_bind(const Forward& forward) {
  sockaddr_storage address{};
  socklen_t size = 0;
  if (forward.host.find(':') != std::string::npos) {
    auto& six = reinterpret_cast<sockaddr_in6&>(address);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(forward.host_port);
    if (::inet_pton(AF_INET6, forward.host.c_str(), &six.sin6_addr) != 1) return EINVAL;
    size = sizeof six;
  } else {
    auto& four = reinterpret_cast<sockaddr_in&>(address);
    four.sin_family = AF_INET;
    four.sin_port = htons(forward.host_port);
    if (::inet_pton(AF_INET, forward.host.c_str(), &four.sin_addr) != 1) return EINVAL;
    size = sizeof four;
  }
  const int kind = forward.protocol == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
  const Fd socket(::socket(address.ss_family, kind | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  // As the supervisor binds: what waits for the end of old connections is no obstacle.
  const int on = 1;
  if (kind == SOCK_STREAM) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0 ? 0 : errno;
}

unsigned first_free_port() {
  unsigned port = 1024;
  std::ifstream(kFirstFreeFile) >> port;
  return port;
}

struct Wish {
  Forward forward;
  std::string whose;
};

std::vector<Wish> gather(const Result<std::filesystem::path>& state, const std::vector<Forward>& wanted) {
  std::vector<Wish> wishes;
  for (const Forward& forward : wanted) wishes.push_back({forward, "--publish"});
  if (!state) return wishes;
  const auto store = workspace::Store::open(*state);
  const auto names = store ? store->list() : fail(store.error());
  if (!names) return wishes;
  for (const std::string& name : *names) {
    const auto manifest = store->load_manifest(name);
    const auto locked = store->locked(name);
    // One that runs has its ports; one that cannot be read is `list`'s affair.
    if (!manifest || !locked || *locked) continue;
    for (const Forward& forward : manifest->network.forwards) wishes.push_back({forward, name});
  }
  return wishes;
}

std::string describe_wish(const Wish& wish, int error) {
  return fmt::format("{} ({}): {}", workspace::describe(wish.forward), wish.whose,
                     error == EACCES ? "privileged" : std::strerror(error));
}

}  // namespace

Check probe_kernel() {
  constexpr const char* kName = "kernel";
  constexpr const char* kRemedy = "use Linux 5.11 or later";
  utsname host{};
  ::uname(&host);
  const std::string which = fmt::format("{} {}", host.sysname, host.release);
  const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self) return failed(kName, true, fmt::format("{} has no pidfd_open: {}", which, std::strerror(errno)), kRemedy);
  // A range of descriptors that are never open.
  constexpr unsigned kLast = ~0U;
  if (::syscall(SYS_close_range, kLast, kLast, CLOSE_RANGE_CLOEXEC) != 0) {
    return failed(kName, true, fmt::format("{} has no close_range: {}", which, std::strerror(errno)), kRemedy);
  }
  return passed(kName, true, which);
}

Check judge_clock(std::int64_t now, std::int64_t made, bool synchronised) {
  constexpr const char* kName = "clock";
  const std::time_t seconds = now;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  const std::string says = fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", utc.tm_year + 1900, utc.tm_mon + 1,
                                       utc.tm_mday, utc.tm_hour, utc.tm_min);
  if (now < made) {
    return failed(kName, false, fmt::format("it says {}, which was before microagent was made", says),
                  "set it: certificates are judged by it; `timedatectl set-ntp true`");
  }
  if (synchronised) return passed(kName, false, says + ", synchronised");
  return failed(kName, false, fmt::format("it says {}, and nothing keeps it right", says),
                "let a service do so, such as systemd-timesyncd or chrony: `timedatectl set-ntp true`");
}

Check probe_clock() {
  struct stat programs {};
  const auto directory = supervisor::find_program_directory();
  const bool found = directory && ::stat((*directory / "microagent-supervisor").c_str(), &programs) == 0;
  timex state{};
  const bool synchronised = ::adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  return judge_clock(std::time(nullptr), found ? programs.st_mtime : 0, synchronised);
}

Check probe_ports(const Result<std::filesystem::path>& state, const std::vector<Forward>& wanted) {
  const auto wishes = gather(state, wanted);
  const unsigned first = first_free_port();
  std::vector<std::string> refused;
  unsigned lowest = first;
  for (const Wish& wish : wishes) {
    if (wish.forward.host_port == 0) continue;
    const int error = try_bind(wish.forward);
    if (error == 0) continue;
    refused.push_back(describe_wish(wish, error));
    if (error == EACCES) lowest = std::min<unsigned>(lowest, wish.forward.host_port);
  }
  if (refused.empty()) {
    return passed(kPorts, false,
                  fmt::format("{} asked for, all free; from {} on they need no privilege", wishes.size(), first));
  }
  return failed(
      kPorts, false, fmt::format("{}", fmt::join(refused, "; ")),
      lowest < first
          ? fmt::format("publish ports from {} on, or: sysctl net.ipv4.ip_unprivileged_port_start={}", first, lowest)
          : "publish other ports, or end what holds these (ss -lntup shows it)");
}

}  // namespace microagent::cli

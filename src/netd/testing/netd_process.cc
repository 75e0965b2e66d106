#include "netd/testing/netd_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/check.h"

namespace microagent::netd::testing {
namespace {

constexpr int kPatienceMs = 10'000;

bool readable(int fd) {
  pollfd wanted{fd, POLLIN, 0};
  return ::poll(&wanted, 1, kPatienceMs) == 1;
}

[[noreturn]] void become(const char* program, int supervisor, int mediator) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::fcntl(supervisor, F_SETFD, 0);
  ::fcntl(mediator, F_SETFD, 0);
  const std::string supervisor_number = std::to_string(supervisor);
  const std::string mediator_number = std::to_string(mediator);
  // In a sanitizer build: looking for leaks at the end takes a thread, which the sandbox does not allow.
  ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  ::execl(program, program, "--supervisor-fd", supervisor_number.c_str(), "--mediator-fd", mediator_number.c_str(),
          nullptr);
  ::_exit(127);
}

}  // namespace

NetdProcess::NetdProcess(const char* program) {
  auto supervisor = flow::Channel::make_pair();
  auto mediator = flow::Channel::make_pair();
  MICROAGENT_CHECK(supervisor && mediator);
  pid_ = ::fork();
  MICROAGENT_CHECK(pid_ >= 0);
  if (pid_ == 0) become(program, supervisor->second.get(), mediator->second.get());
  pid_fd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  supervisor_.emplace(std::move(supervisor->first));
  mediator_.emplace(std::move(mediator->first));
}

NetdProcess::~NetdProcess() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::optional<flow::Message> NetdProcess::next(flow::Channel& channel) {
  if (!readable(channel.fd())) return std::nullopt;
  flow::Message message;
  if (channel.receive(message) != flow::Receive::message) return std::nullopt;
  return message;
}

bool NetdProcess::configure() {
  const auto ready = next(*supervisor_);
  if (!ready || !ready->as<flow::Ready>()) return false;
  flow::Configure configure;
  configure.guest_mac = {2, 0, 0, 0, 0, 2};
  configure.gateway_mac = {2, 0, 0, 0, 0, 1};
  configure.guest_ip = {192, 168, 64, 2};
  configure.gateway_ip = {192, 168, 64, 1};
  configure.prefix_length = 24;
  configure.mtu = 1500;
  configure.guest_cid = kCid;
  return supervisor_->send(0, configure).has_value();
}

virtio::testing::FrontEnd NetdProcess::attach(flow::Device device) {
  std::array<int, 2> ends{};
  MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const Fd theirs(ends[1]);
  MICROAGENT_CHECK(supervisor_->send(0, flow::Attach{device}, theirs.get()).has_value());
  return virtio::testing::FrontEnd(Fd(ends[0]));
}

std::optional<int> NetdProcess::wait_for_end() {
  if (!readable(pid_fd_.get())) return std::nullopt;
  int status = 0;
  MICROAGENT_CHECK(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool NetdProcess::alive() {
  pollfd wanted{pid_fd_.get(), POLLIN, 0};
  return ::poll(&wanted, 1, 0) == 0;
}

}  // namespace microagent::netd::testing

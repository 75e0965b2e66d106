#include "init/exec_service.h"

#include <sys/epoll.h>
#include <sys/socket.h>
// After sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <cerrno>

#include "init/console.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr std::chrono::milliseconds kRest{200};

}  // namespace

ExecService::~ExecService() {
  if (listener_) around_.loop.forget(listener_.get());
}

Status ExecService::listen() {
  Fd listener(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return fail_errno(errno, "cannot make a vsock socket");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = wire::kExecGuestPort;
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0) {
    return fail_errno(errno, "cannot listen for the host's commands");
  }
  if (Status watched = around_.loop.watch(listener.get(), EPOLLIN, [this](auto) { accept_all(); }); !watched) {
    return watched;
  }
  listener_ = std::move(listener);
  return {};
}

void ExecService::accept_all() {
  for (;;) {
    sockaddr_vm peer{};
    socklen_t size = sizeof peer;
    Fd stream(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!stream && errno == EAGAIN) return;
    if (!stream && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (!stream) return rest(errno);
    if (peer.svm_cid == wire::kHostCid) serve(std::move(stream));
  }
}

// Descriptors or memory have run out, which nothing tells the end of.
void ExecService::rest(int error) {
  say(errno_error(error, "cannot take a command of the host's").message);
  around_.loop.change(listener_.get(), 0);
  around_.loop.after(kRest, [this] {
    if (listener_) around_.loop.change(listener_.get(), EPOLLIN);
  });
}

void ExecService::serve(Fd stream) {
  if (sessions_.size() >= kMaxSessions) {
    // Its closing tells the host as much as can be told without waiting for its request.
    return say(concat("more than ", kMaxSessions, " commands of the host's at once"));
  }
  const auto place = sessions_.emplace(sessions_.end());
  *place = std::make_unique<ExecSession>(around_, std::move(stream), [this, place] { bury(place); });
}

void ExecService::bury(Sessions::iterator session) {
  buried_.splice(buried_.end(), sessions_, session);
  // The session is still running: it has called us.
  if (buried_.size() == 1) around_.loop.after({}, [this] { buried_.clear(); });
}

void ExecService::shut_down() {
  if (listener_) around_.loop.forget(listener_.get());
  listener_.reset();
  for (const auto& session : sessions_) session->hang_up();
}

}  // namespace microagent::init

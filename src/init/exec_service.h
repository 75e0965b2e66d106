#pragma once

#include <list>
#include <memory>

#include "init/exec_session.h"

namespace microagent::init {

// Serves the host's commands: every connection to the listening socket is a session. Only CID 2, the host, is served.
class ExecService {
 public:
  static constexpr std::size_t kMaxSessions = 1024;

  explicit ExecService(const ExecSurroundings& surroundings) : around_(surroundings) {}
  ~ExecService();

  // Listens on AF_VSOCK port kExecGuestPort.
  Status listen();
  // Takes over a session's stream.
  void serve(Fd stream);

  // No new commands; terminals hang up.
  void shut_down();

  std::size_t sessions() const { return sessions_.size(); }

 private:
  using Sessions = std::list<std::unique_ptr<ExecSession>>;
  void accept_all();
  void rest(int error);
  void bury(Sessions::iterator session);

  ExecSurroundings around_;
  Fd listener_;
  Sessions sessions_;
  Sessions buried_;  // over, and destroyed once nothing of theirs runs any more
};

}  // namespace microagent::init

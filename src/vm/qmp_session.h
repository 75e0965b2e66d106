#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace microagent::vm {

// What QEMU tells by itself.
struct QmpEvent {
  enum class Kind {
    ready,     // the handshake is done
    shutdown,  // the machine has stopped; QEMU is about to end
    guest_panicked,
    disk_error,  // the host could not read or write for the guest: `reason`
    answer,      // to a command other than the handshake's
  };
  Kind kind{};
  // shutdown: who wanted it; a guest that powers itself off ("guest-shutdown") or restarts ("guest-reset").
  bool by_guest = false;
  std::string reason;
  // answer: whether the command was carried out; `reason` holds the error's words when not.
  bool succeeded = false;
};

// Our end of the QEMU Machine Protocol (QEMU, docs/interop/qmp-spec.txt): bytes in, events and bytes out. Knows no
// socket.
class QmpSession {
 public:
  // Takes what arrived. Fails on what is no QMP and stays failed; QEMU is not trusted to be well.
  Result<std::vector<QmpEvent>> feed(std::string_view bytes);

  // Asks for a command without arguments ("quit", "system_powerdown", "query-status"). Only after `ready`.
  void execute(std::string_view command);

  // What is to be written to the socket; taken once.
  std::string take_output();

 private:
  Result<std::optional<QmpEvent>> on_line(std::string_view line);
  std::optional<QmpEvent> on_answer(const nlohmann::json& message);

  std::string partial_;
  std::string output_;
  enum class Phase { greeting, negotiating, ready, broken } phase_ = Phase::greeting;
};

}  // namespace microagent::vm

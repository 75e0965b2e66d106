#pragma once

#include <optional>

#include "supervisor/io.h"

namespace microagent::supervisor {

// QEMU's ends of its devices, connected.
struct FrontEnds {
  Fd vsock;
  Fd net;  // empty in a machine without network
};

// The sockets in the workspace's directory where QEMU's devices look for their back ends. The names are gone with the
// object.
class FrontEndSockets {
 public:
  static constexpr const char* kNet = "net.sock";
  static constexpr const char* kVsock = "vsock.sock";

  // `directory` must outlive the object.
  static Result<FrontEndSockets> create(const asio::any_io_executor& executor, int directory, bool with_net);
  FrontEndSockets(FrontEndSockets&& other) noexcept;
  ~FrontEndSockets();

  // Waits until QEMU has come for every device.
  asio::awaitable<Result<FrontEnds>> accept(Deadline deadline);

 private:
  FrontEndSockets(int directory, Descriptor vsock) : directory_(directory), vsock_(std::move(vsock)) {}

  int directory_;
  Descriptor vsock_;
  std::optional<Descriptor> net_;
};

}  // namespace microagent::supervisor

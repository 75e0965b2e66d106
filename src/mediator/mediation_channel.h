#pragma once

// The mediation channel: connections of the guest to one declared port of the host's CID, each led to the declared
// target by a connection of its own.

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "mediator/host_target.h"

namespace microagent::mediator {

struct MediationConfig {
  std::uint32_t port = 0;  // vsock, of the host's CID
  std::string text;        // the target as it was declared, for records
  HostTarget target;
};

// {"port":2048,"text":"127.0.0.1:9900","host":"127.0.0.1","tcpPort":9900} or {...,"path":"/x"}. Strict.
Result<MediationConfig> parse_mediation_config(const nlohmann::json& object);

// Dials for the guest, and finds out by itself whether the target can be reached: the first time at once; then when a
// dial or a connection fails; and on the quiet every kHeartbeat while it can, with growing pauses up to kMaxRetry while
// it cannot. A probe connects and closes, and the next one is at least kFirstRetry away, whatever the guest does. The
// guest's connections never wait for a probe. Must outlive its event loop's run.
class MediationChannel {
 public:
  static constexpr std::size_t kMaxConnections = 128;
  static constexpr std::chrono::milliseconds kDialTimeout{5000};
  static constexpr std::chrono::milliseconds kHeartbeat{5000};
  static constexpr std::chrono::milliseconds kFirstRetry{250};
  static constexpr std::chrono::milliseconds kMaxRetry{4000};

  // Told each time the answer changes, and once at the beginning.
  using Report = std::function<void(bool ready, const std::string& error)>;

  MediationChannel(asio::any_io_executor executor, HostTarget target, Report report);

  // Begins to look after the target.
  void start();

  bool full() const { return connections_ >= kMaxConnections; }
  // A connection for the guest, when not full(); it counts until release().
  asio::awaitable<tl::expected<Fd, DialError>> connect(Delivery delivery);
  // One has ended. `failed`: the target reset it, which is worth a look.
  void release(bool failed);

 private:
  asio::awaitable<void> look_after();
  asio::awaitable<tl::expected<Fd, DialError>> probe();
  void note(const tl::expected<Fd, DialError>& dialled);

  asio::any_io_executor executor_;
  HostTarget target_;
  Report report_;
  asio::steady_timer look_again_;
  bool look_wanted_ = false;  // since the last look
  std::size_t connections_ = 0;
  bool reported_ = false, ready_ = false;
  std::string error_;
};

}  // namespace microagent::mediator

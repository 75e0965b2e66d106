#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "flow/channel.h"
#include "supervisor/io.h"

namespace microagent::supervisor {

// Our end of the verdict protocol with netd: how the wire looks, the devices' front ends, and flows to the guest. Must
// outlive its event loop's run.
class NetdLink {
 public:
  static Result<std::unique_ptr<NetdLink>> open(const asio::any_io_executor& executor, Fd socket, Changes& changes);

  bool ready() const { return ready_; }
  // Why the guest's wire is no good any more: a device failed or the conversation broke.
  const std::optional<std::string>& fault() const { return fault_; }

  // Sends one message; waits while netd is too busy to read. False when it cannot be sent. `body`, `passed` and
  // `trailing` must outlive the call.
  template <typename T>
  asio::awaitable<bool> send(flow::FlowId flow, const T& body, const Fd& passed, ByteView trailing = {}) {
    for (const Deadline deadline = in(kPatience); open_;) {
      const Status sent = channel_.send(flow, body, passed.get(), trailing);
      if (sent) co_return true;
      if (!sent.error().retryable()) break;
      if (co_await wait_writable(readiness_, deadline) != Wait::ready) break;
    }
    co_return false;
  }

  // Opens a flow to the guest; `on_closed` is called when it has ended, successful or not.
  asio::awaitable<bool> dial(const flow::Dial& dial, Fd fd, ByteView first = {}, std::function<void()> on_closed = {});

  // Hangs up: netd ends.
  void close();

 private:
  static constexpr std::chrono::seconds kPatience{10};

  NetdLink(flow::Channel channel, Descriptor readiness, Changes& changes)
      : channel_(std::move(channel)), readiness_(std::move(readiness)), changes_(changes) {}
  asio::awaitable<void> receive();
  bool take_message();
  void on_message(const flow::Message& message);
  void set_fault(std::string why);

  flow::Channel channel_;
  Descriptor readiness_;  // the same socket under a number of its own, for waiting
  Changes& changes_;
  std::unordered_map<flow::FlowId, std::function<void()>> dialled_;
  flow::FlowId last_flow_ = flow::kDialledBit;
  bool open_ = true;
  bool ready_ = false;
  std::optional<std::string> fault_;
};

}  // namespace microagent::supervisor

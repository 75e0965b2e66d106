#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "flow/channel.h"
#include "mediator/io.h"

namespace microagent::mediator {

inline constexpr std::size_t kMaxFlows = 16'384;

// The verdict-protocol connection to netd: questions and reports in, verdicts and orders out. Must outlive its event
// loop's run.
class NetdLink {
 public:
  static Result<std::unique_ptr<NetdLink>> open(const asio::any_io_executor& executor, Fd socket);

  void splice(flow::FlowId flow, Fd fd, flow::BudgetId budget = flow::kNoBudget) {
    send(flow, flow::Verdict{.action = flow::Action::splice, .budget = budget}, std::move(fd));
  }
  void peek(flow::FlowId flow) { send(flow, flow::Verdict{.action = flow::Action::peek}); }
  void refuse(flow::FlowId flow, flow::Refusal refusal) {
    send(flow, flow::Verdict{.action = flow::Action::refuse, .refusal = refusal});
  }
  void kill(flow::FlowId flow) { send(flow, flow::Kill{}); }
  void sever() { send(0, flow::Sever{}); }
  void limit(const flow::Limits& limits) { send(0, limits); }
  // Opens a stream to a vsock port of the guest.
  void dial_vsock(std::uint32_t guest_port, Fd fd);

  // Says what is wrong with a message, which it borrows; empty when nothing is.
  using OnMessage = std::function<std::string(const flow::Message&)>;

  // Hands every message to `on_message` until something is wrong with one or the connection ends; returns which. While
  // netd does not read its verdicts no further questions are read either.
  asio::awaitable<std::string> receive(OnMessage on_message);

 private:
  using Body = std::variant<flow::Verdict, flow::Kill, flow::Sever, flow::Limits, flow::Dial>;
  struct Pending {
    flow::FlowId flow;
    Body body;
    Fd fd;
  };

  NetdLink(flow::Channel channel, Descriptor readiness)
      : channel_(std::move(channel)), readiness_(std::move(readiness)) {}
  void send(flow::FlowId flow, const Body& body, Fd fd = Fd());
  void flush();
  void give_up();
  asio::awaitable<void> flush_when_writable();

  flow::Channel channel_;
  Descriptor readiness_;  // the same socket under a number of its own, for waiting
  std::deque<Pending> queue_;
  flow::FlowId last_dial_ = flow::kDialledBit;
  bool flushing_ = false;
};

}  // namespace microagent::mediator

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "flow/channel.h"

namespace microagent::netd {

// The verdicts of a netd that runs by itself (--tap): every flow may go where it wants, with the privileges and routes
// of whoever started it. A process of its own, since netd opens no socket.
class Permissive {
 public:
  // A TCP port of the host that leads to one of the guest.
  struct Published {
    Fd listener;
    std::uint16_t guest_port = 0;
    bool by_ipv6 = false;
  };
  struct Options {
    std::array<std::uint8_t, 4> gateway{};  // its port 53 is the host's resolver
    std::optional<std::array<std::uint8_t, 16>> gateway6;
    std::optional<std::array<std::uint8_t, 4>> resolver;
    std::vector<Published> published;
  };

  Permissive(Fd as_mediator, Fd as_supervisor, Options options);

  // Serves until netd hangs up.
  Status run();

 private:
  struct Dialling {
    flow::FlowId flow = 0;
    Fd socket;
  };

  bool watch(int fd, std::uint32_t events, std::uint64_t data);
  Status on_netd();
  bool is_gateway6(const flow::Endpoint& destination) const;
  void on_open(flow::FlowId flow, const flow::Open& open);
  void on_dialled(int fd);
  void on_connection(std::size_t index);
  void splice(flow::FlowId flow, const Fd& socket);
  void refuse(flow::FlowId flow, int error);
  void send(flow::FlowId flow, const flow::Verdict& verdict, int fd);

  flow::Channel netd_;
  flow::Channel supervised_;
  Options options_;
  Fd epoll_;
  std::unordered_map<int, Dialling> dialling_;  // by descriptor
  std::uint64_t dialled_ = 0;
  bool ended_ = false;
};

}  // namespace microagent::netd

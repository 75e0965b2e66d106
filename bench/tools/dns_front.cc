// dns_front PORT RESOLVER_PORT DIRECTORY: the mediator's DNS service at UDP port PORT of 127.0.0.1, for measurements
// (bench/dns). In a workspace netd stands where the second thread stands here: between datagrams and the packet sockets
// of flows. The audit log, which has every question, goes into DIRECTORY.

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <thread>
#include <vector>

#include "base/check.h"
#include "mediator/dns_service.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kFlows = 64;  // clients beyond that share
constexpr std::size_t kMaxMessage = 65'536;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Fd bound(std::uint16_t port) {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in address = loopback(port);
  MICROAGENT_CHECK(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const int size = 4 * 1024 * 1024;
  MICROAGENT_CHECK(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
  return socket;
}

// Carries datagrams between the clients and the flows, one flow a client.
class Front {
 public:
  Front(Fd socket, std::vector<Fd> flows) : socket_(std::move(socket)), flows_(std::move(flows)) {
    clients_.resize(flows_.size());
    watch(socket_, flows_.size());
    for (std::size_t i = 0; i < flows_.size(); ++i) watch(flows_[i], i);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, kFlows + 1> events{};
    for (;;) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const std::size_t which = events[static_cast<std::size_t>(i)].data.u64;
        if (which == flows_.size()) take_questions();
        else take_answers(which);
      }
    }
  }

 private:
  void watch(const Fd& fd, std::size_t which) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = which;
    MICROAGENT_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0);
  }

  std::size_t flow_of(const sockaddr_in& client) {
    const auto [found, is_new] = known_.try_emplace(client.sin_port, known_.size() % flows_.size());
    if (is_new) clients_[found->second] = client;
    return found->second;
  }

  void take_questions() {
    for (;;) {
      sockaddr_in client{};
      socklen_t size = sizeof client;
      const ssize_t count =
          ::recvfrom(socket_.get(), buffer_.data(), buffer_.size(), 0, reinterpret_cast<sockaddr*>(&client), &size);
      if (count < 0) return;
      // What finds no room is lost, as with any server.
      ::send(flows_[flow_of(client)].get(), buffer_.data(), static_cast<std::size_t>(count), MSG_DONTWAIT);
    }
  }

  void take_answers(std::size_t which) {
    for (;;) {
      const ssize_t count = ::recv(flows_[which].get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (count <= 0) return;
      const auto* client = reinterpret_cast<const sockaddr*>(&clients_[which]);
      ::sendto(socket_.get(), buffer_.data(), static_cast<std::size_t>(count), 0, client, sizeof clients_[which]);
    }
  }

  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  Fd socket_;
  std::vector<Fd> flows_;
  std::vector<sockaddr_in> clients_;  // by flow
  std::map<in_port_t, std::size_t> known_;
  std::array<std::uint8_t, kMaxMessage> buffer_{};
};

int run(std::uint16_t port, std::uint16_t resolver_port, const std::filesystem::path& directory) {
  asio::io_context io(1);
  auto audit = audit::Writer::open(directory / "egress.jsonl", "bench");
  MICROAGENT_CHECK(audit);
  Recorder recorder(std::move(*audit));
  const auto policy = LivePolicy::make({});
  MICROAGENT_CHECK(policy);
  const policy::Address local = policy::Address::ipv4({127, 0, 0, 1});
  DnsService service(io.get_executor(), dns::ResolverList({{local, resolver_port}}), recorder, *policy, {});
  std::vector<Fd> flows;
  for (std::size_t i = 0; i < kFlows; ++i) {
    auto flow = service.serve({.transport = dns::Transport::udp, .audit_flow = recorder.new_flow()});
    MICROAGENT_CHECK(flow);
    flows.push_back(std::move(*flow));
  }
  std::thread([front = Front(bound(port), std::move(flows))]() mutable { front.run(); }).detach();
  std::puts("serving");
  std::fflush(stdout);
  io.run();
  return 0;
}

}  // namespace
}  // namespace microagent::mediator

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: dns_front PORT RESOLVER_PORT DIRECTORY\n", stderr);
    return 2;
  }
  const auto port = [](const char* text) { return static_cast<std::uint16_t>(std::strtoul(text, nullptr, 10)); };
  return microagent::mediator::run(port(argv[1]), port(argv[2]), argv[3]);
}

// dns_front PORT FIRST_CLIENT CLIENTS RESOLVER_PORT DIRECTORY: the mediator's DNS service at UDP port PORT of loopback,
// for measurements (bench/dns), to clients at so many ports from FIRST_CLIENT on. In a workspace each flow is a packet
// socket to netd; here it is a datagram socket that is connected to one client. The audit log goes into DIRECTORY.

#include <arpa/inet.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"
#include "mediator/dns_service.h"
#include "mediator/io.h"

namespace microagent::mediator {
namespace {

struct Ports {
  std::uint16_t ours = 0, first_client = 0, clients = 0, resolver = 0;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Fd connected(std::uint16_t ours, std::uint16_t client) {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in from = loopback(ours), to = loopback(client);
  const int on = 1;
  MICROAGENT_CHECK(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
  MICROAGENT_CHECK(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0);
  MICROAGENT_CHECK(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  return socket;
}

// A conversation ends when its client is silent for long, or has closed its port; the next client there begins another.
asio::awaitable<void> serve(DnsService& service, DnsService::Asker asker, std::uint16_t ours, std::uint16_t client) {
  const Fd socket = connected(ours, client);
  for (;;) {
    auto watched = watch(co_await asio::this_coro::executor, Fd(::dup(socket.get())));
    MICROAGENT_CHECK(watched);
    co_await service.serve_on(std::move(*watched), asker);
  }
}

int run(const Ports& ports, const std::filesystem::path& directory) {
  asio::io_context io(1);
  auto audit = audit::Writer::open(directory / "egress.jsonl", "bench");
  MICROAGENT_CHECK(audit);
  Recorder recorder(std::move(*audit));
  const auto policy = LivePolicy::make({});
  MICROAGENT_CHECK(policy);
  const policy::Address local = policy::Address::ipv4({127, 0, 0, 1});
  DnsService service(io.get_executor(), dns::ResolverList({{local, ports.resolver}}), recorder, *policy, {});
  for (std::uint16_t i = 0; i < ports.clients; ++i) {
    const DnsService::Asker asker{.transport = dns::Transport::udp, .audit_flow = recorder.new_flow()};
    const auto client = static_cast<std::uint16_t>(ports.first_client + i);
    spawn(io.get_executor(), serve(service, asker, ports.ours, client));
  }
  io.run();
  return 0;
}

}  // namespace
}  // namespace microagent::mediator

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: dns_front PORT FIRST_CLIENT CLIENTS RESOLVER_PORT DIRECTORY\n", stderr);
    return 2;
  }
  const auto number = [&](int at) { return static_cast<std::uint16_t>(std::strtoul(argv[at], nullptr, 10)); };
  return microagent::mediator::run({number(1), number(2), number(3), number(4)}, argv[5]);
}

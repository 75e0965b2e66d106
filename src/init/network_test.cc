// The guest's network set up by the real kernel: each test has network namespaces of its own, the guest's and one that
// plays the gateway, with a pair of devices as the wire between them.

#include "init/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

using testing::HasSubstr;

// Runs a function in a process of its own, for it changes what holds for a whole process. What it returns.
template <typename Function>
std::string apart(Function function) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const std::string result = function();
    ::_exit(::write(theirs.get(), result.data(), result.size()) == static_cast<ssize_t>(result.size()) ? 0 : 1);
  }
  theirs.reset();
  std::string result;
  std::array<char, 4096> chunk;
  for (ssize_t count = 0; (count = ::read(ours.get(), chunk.data(), chunk.size())) > 0;) {
    result.append(chunk.data(), static_cast<std::size_t>(count));
  }
  ::waitpid(pid, nullptr, 0);
  return result;
}

// Into new namespaces; as an ordinary user with the help of a user namespace. False where the host does not allow it.
bool enter_namespaces() {
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  if (::unshare(CLONE_NEWNET | (uid == 0 ? 0 : CLONE_NEWUSER)) != 0) return false;
  if (uid == 0) return true;
  return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", concat("0 ", uid, " 1")) &&
         write_file("/proc/self/gid_map", concat("0 ", gid, " 1"));
}

bool shell(const std::string& command) { return std::system(command.c_str()) == 0; }

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "re");
  std::array<char, 1024> text{};
  const std::size_t size = std::fread(text.data(), 1, text.size(), pipe);
  ::pclose(pipe);
  return {text.data(), size};
}

constexpr const char* kMac = "02:6d:61:00:00:02";

// Leaves this process in the guest's namespace, whose `wire` leads to the device `far` of the gateway's, which lives
// in the process that is returned, until its input ends.
pid_t make_wire(Fd& lifeline) {
  std::array<int, 2> input{}, output{};
  if (::pipe2(input.data(), O_CLOEXEC) != 0 || ::pipe2(output.data(), O_CLOEXEC) != 0) return -1;
  const pid_t gateway = ::fork();
  if (gateway == 0) {
    ::close(input[1]);
    char byte = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    [[maybe_unused]] auto ignored = ::write(output[1], &byte, 1);
    ignored = ::read(input[0], &byte, 1);
    ::_exit(0);
  }
  ::close(input[0]);
  ::close(output[1]);
  lifeline.reset(input[1]);
  const Fd answer(output[0]);
  char byte = 'n';
  if (::read(answer.get(), &byte, 1) != 1 || byte != 'y') return -1;
  const std::string in_gateway = concat("nsenter -t ", gateway, " -n ");
  const bool made = shell(concat("ip link add wire address ", kMac, " type veth peer name far netns ", gateway)) &&
                    shell(in_gateway + "ip addr add 192.168.64.1/24 dev far") &&
                    shell(in_gateway + "ip link set far up");
  return made ? gateway : -1;
}

wire::GuestNetwork sample_network() {
  wire::GuestNetwork network;
  network.mac = kMac;
  network.ip = "192.168.64.2/24";
  network.gateway = "192.168.64.1";
  return network;
}

// What configure_network() makes of a network, as the facts' text.
std::string facts_of(const wire::GuestNetwork& network, const std::string& then = "true") {
  return apart([&]() -> std::string {
    if (!enter_namespaces()) return "skip";
    Fd lifeline;
    if (make_wire(lifeline) < 0) return "skip";
    if (const Status up = configure_loopback(); !up) return "error: " + up.error().message;
    const auto device = configure_network(network);
    if (!device) return "error: " + device.error().message;
    if (!shell(then)) return "error: " + then;
    auto facts = read_facts(*device);
    if (!facts) return "error: " + facts.error().message;
    facts->dns.clear();  // the host's own
    return encode_guest_facts(*facts);
  });
}

#define SKIP_WHERE_IMPOSSIBLE(text) \
  if ((text) == "skip") GTEST_SKIP() << "this host allows no network namespaces"

TEST(Network, IsWhatWasDeclared) {
  const std::string facts = facts_of(sample_network());
  SKIP_WHERE_IMPOSSIBLE(facts);
  EXPECT_EQ(facts,
            "ip=192.168.64.2/24\nsubnet=192.168.64.0/24\ngateway=192.168.64.1\n"
            "route=0.0.0.0/0 via 192.168.64.1\n");
}

TEST(Network, TellsWhatTheKernelHasAndNotWhatWasAskedFor) {
  const std::string facts = facts_of(sample_network(), "ip addr add 192.168.65.9/16 dev wire && ip route del default");
  SKIP_WHERE_IMPOSSIBLE(facts);
  EXPECT_EQ(facts, "ip=192.168.64.2/24\nsubnet=192.168.64.0/24\n");
}

TEST(Network, HonoursRoutes) {
  wire::GuestNetwork network = sample_network();
  network.routes = {"10.0.0.0/8 via 192.168.64.9", "198.51.100.7/32 via 192.168.64.1"};
  std::string facts = facts_of(network);
  SKIP_WHERE_IMPOSSIBLE(facts);
  for (const char* route :
       {"10.0.0.0/8 via 192.168.64.9", "198.51.100.7/32 via 192.168.64.1", "0.0.0.0/0 via 192.168.64.1"}) {
    EXPECT_THAT(facts, HasSubstr(concat("route=", route, "\n")));
  }
  network.routes = {"0.0.0.0/0 via 192.168.64.9"};
  facts = facts_of(network);
  EXPECT_THAT(facts, HasSubstr("gateway=192.168.64.9\nroute=0.0.0.0/0 via 192.168.64.9\n"));
}

TEST(Network, WorksOnAWireOfTwo) {
  wire::GuestNetwork network = sample_network();
  network.ip = "192.168.64.0/31";
  const std::string facts = facts_of(network, "ip addr show wire | grep -v brd | grep -q 192.168.64.0/31");
  SKIP_WHERE_IMPOSSIBLE(facts);
  EXPECT_EQ(facts,
            "ip=192.168.64.0/31\nsubnet=192.168.64.0/31\ngateway=192.168.64.1\nroute=0.0.0.0/0 via 192.168.64.1\n");
}

TEST(Network, HasIpv6OnlyWhenDeclared) {
  wire::GuestNetwork network = sample_network();
  std::string facts = facts_of(network, "! ip -6 addr show wire | grep -q inet6");
  SKIP_WHERE_IMPOSSIBLE(facts);
  EXPECT_THAT(facts, HasSubstr("ip=192.168.64.2/24\n"));
  network.ip6 = "2001:db8::2/64";
  network.gateway6 = "fe80::1";
  // Usable at once: nobody waits for duplicates to be detected. (The kernel's own address may take a moment.)
  facts = facts_of(network, "! ip -6 addr show wire | grep 2001:db8::2 | grep -q tentative");
  EXPECT_THAT(facts, HasSubstr("\nip6=2001:db8::2/64\ngateway6=fe80::1\n"));
  EXPECT_THAT(facts, HasSubstr("\nroute=::/0 via fe80::1\n"));
}

TEST(Network, SaysWhatTheKernelRefuses) {
  wire::GuestNetwork network = sample_network();
  network.routes = {"10.0.0.0/8 via 203.0.113.1"};
  const std::string refusal = facts_of(network);
  SKIP_WHERE_IMPOSSIBLE(refusal);
  EXPECT_EQ(refusal,
            "error: cannot add the route 10.0.0.0/8 via 203.0.113.1: the kernel refuses: Network is unreachable");
  network = sample_network();
  network.mac = "02:00";
  EXPECT_EQ(facts_of(network), "error: no hardware address: 02:00");
}

TEST(Network, WaitsForTheDevice) {
  const std::string facts = apart([]() -> std::string {
    if (!enter_namespaces()) return "skip";
    std::thread late([] { shell(concat("sleep 0.2; ip link add wire address ", kMac, " type veth peer name far")); });
    const auto device = configure_network(sample_network());
    late.join();
    return device ? "found" : device.error().message;
  });
  SKIP_WHERE_IMPOSSIBLE(facts);
  EXPECT_EQ(facts, "found");
}

// A published port: the gateway reaches a service that listens on the guest's 127.0.0.1 alone. The gateway's kernel has
// no loopback of its own, so that it sends such packets over the wire.
TEST(Network, LetsTheGatewayReachLoopbackServices) {
  const std::string result = apart([]() -> std::string {
    if (!enter_namespaces()) return "skip";
    Fd lifeline;
    const pid_t gateway = make_wire(lifeline);
    if (gateway < 0) return "skip";
    if (!configure_loopback() || !configure_network(sample_network())) return "not configured";
    const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(8080);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return "not bound";
    if (::listen(listener.get(), 1) != 0) return "not listening";
    const std::string in_gateway = concat("nsenter -t ", gateway, " -n ");
    shell(in_gateway + "sysctl -qw net.ipv4.conf.far.route_localnet=1");
    shell(in_gateway + "ip route add 127.0.0.1/32 via 192.168.64.2 src 192.168.64.1");
    if (!shell(in_gateway + "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080; echo hello >&3; cat <&3' &"))
      return "no";
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    timeval patience{5, 0};
    ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const Fd connection(::accept(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size));
    std::array<char, 64> text{};
    if (!connection || ::recv(connection.get(), text.data(), text.size() - 1, 0) <= 0) return "no connection";
    return concat(::inet_ntoa(peer.sin_addr), " ", text.data(),
                  output_of(in_gateway + "ip neigh show dev far | cut -d' ' -f1"));
  });
  SKIP_WHERE_IMPOSSIBLE(result);
  // The gateway knows the guest by its own name: none of its questions was asked in that of 127.0.0.1.
  EXPECT_EQ(result, "192.168.64.1 hello\n192.168.64.2\n");
}

}  // namespace
}  // namespace microagent::init

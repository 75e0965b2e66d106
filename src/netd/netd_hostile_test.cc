// Guests that do not stop at wrong values: memory that changes while it is read, and rings that were stopped and are
// kicked on. And a front end that is none of ours.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "netd/testing/net_fixture.h"

namespace microagent::netd {
namespace {

using netstack::testing::Bytes;
using testing::kGuest;
using testing::kServer;
using virtio::testing::FrontEnd;
using virtio::testing::NetGuest;

class NetdHostileTest : public testing::NetFixture {
 protected:
  // Of all its threads, in nanoseconds.
  std::uint64_t cpu_time() const {
    std::ifstream file("/proc/" + std::to_string(netd.pid()) + "/schedstat");
    std::uint64_t spent = 0;
    file >> spent;
    return spent;
  }
};

// Headers are copied out once, then validated, then used (data path of the architecture): whatever the guest writes in
// between, netd lives, and says nothing on the wire that it was not asked for.
TEST_F(NetdHostileTest, MemoryThatChangesWhileItIsRead) {
  start();
  const Bytes frame = netstack::testing::udp_frame({{kGuest, 4000}, {kServer, 7}}, Bytes(1000, 'x'));
  constexpr std::uint16_t kHead = 200;  // beyond those that the driver uses
  const std::uint64_t buffer = guest.ram.allocate(4096);
  std::uint8_t* const memory = guest.ram.at(buffer);
  const wire::NetHeader header{};
  std::memcpy(memory, &header, sizeof header);
  std::memcpy(memory + sizeof header, frame.data(), frame.size());
  const auto bytes = static_cast<std::uint32_t>(sizeof header + frame.size());
  guest.tx.write_descriptor(kHead, {buffer, bytes, 0, 0});

  std::atomic<bool> over = false;
  std::thread liar([&] {
    std::uint32_t seed = 1;
    while (!over) {
      seed = seed * 1664525 + 1013904223;
      // Any byte of the headers; the descriptor's length and flags; then all as it was.
      std::atomic_ref(memory[seed >> 8 & 63]).store(static_cast<std::uint8_t>(seed), std::memory_order_relaxed);
      guest.tx.write_descriptor(kHead, {buffer, seed >> 4 & 0x7ff, static_cast<std::uint16_t>(seed >> 20 & 4), 0});
      std::memcpy(memory, &header, sizeof header);
      std::memcpy(memory + sizeof header, frame.data(), 64);
      guest.tx.write_descriptor(kHead, {buffer, bytes, 0, 0});
    }
  });
  for (int i = 0; i < 20'000 && netd.alive(); ++i) {
    guest.tx.offer(kHead);
    front->kick(1);
    flow::Message message;
    while (netd.mediator().receive(message) == flow::Receive::message) {
      if (message.as<flow::Open>()) {
        ASSERT_TRUE(netd.mediator().send(message.header.flow, flow::Verdict{.action = flow::Action::drop}));
      }
    }
  }
  over = true;
  liar.join();
  ASSERT_TRUE(netd.alive());
  // The ring may have been stopped for what it held at the wrong moment. The next guest is served.
  front.reset();
  ASSERT_TRUE(netd.next(netd.supervisor()));
  NetGuest honest;
  FrontEnd next = netd.attach(flow::Device::net);
  start(next, honest);
}

TEST_F(NetdHostileTest, AStoppedRingThatIsKickedCostsNothing) {
  start();
  guest.tx.offer(0xffff);
  front->kick(1);
  // It is stopped when the session still answers after it.
  ASSERT_TRUE(front->ask(wire::VhostRequest::get_features));
  const std::uint64_t before = cpu_time();
  constexpr int kKicks = 200;
  for (int i = 0; i < kKicks; ++i) {
    guest.tx.set_available_index(static_cast<std::uint16_t>(i));
    front->kick(1);
    ::usleep(1000);
  }
  const std::uint64_t spent = cpu_time() - before;
  EXPECT_LT(spent / kKicks, 500'000U) << "half of the time between the kicks";
  const std::uint64_t asleep = cpu_time();
  ::usleep(200'000);
  EXPECT_LT(cpu_time() - asleep, 2'000'000U) << "one in a hundred";
  EXPECT_TRUE(netd.alive());
}

// ---- dpdk-testpmd ----

// Another's driver and front end: DPDK's virtio-user, whose `5tswap` sends every datagram back where it came from.
class ForeignFrontEndTest : public NetdHostileTest {
 protected:
  void SetUp() override {
    if (::access(program().c_str(), X_OK) != 0)
      GTEST_SKIP() << "no " << program() << "; run: tools/testpmd " << TESTPMD;
    NetdHostileTest::SetUp();
    directory_ = ::testing::TempDir() + "microagent-testpmd-" + std::to_string(::getpid());
    ASSERT_EQ(::mkdir(directory_.c_str(), 0700), 0);
    path_ = directory_ + "/vhost";
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ASSERT_LT(path_.size(), sizeof address.sun_path);
    std::strcpy(address.sun_path, path_.c_str());
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_.get(), 1), 0);
  }
  void TearDown() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  void start_testpmd() {
    const std::string device = "net_virtio_user0,mac=02:00:00:00:00:02,queues=1,queue_size=256,path=" + path_;
    std::vector<std::string> words{program(), "-l", "0,1", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry"};
    for (const char* driver : {"librte_bus_vdev", "librte_mempool_ring", "librte_net_virtio"}) {
      words.insert(words.end(), {"-d", libraries() + "/" + driver + ".so.23"});
    }
    words.insert(words.end(), {"--vdev", device, "--", "--forward-mode=5tswap", "--auto-start", "--no-flush-rx",
                               "--no-mlockall", "--total-num-mbufs=4096"});
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    // It goes on as long as its standard input does.
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    input_.reset(ends[1]);
    const Fd theirs(ends[0]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    std::string preload = std::string("LD_PRELOAD=") + ALLOW_SEALING;
    std::string runtime = "RUNTIME_DIRECTORY=" + directory_;
    std::string path = "LD_LIBRARY_PATH=" + libraries() + ":" TESTPMD "/lib/x86_64-linux-gnu";
    const std::array environment{preload.data(), runtime.data(), path.data(), static_cast<char*>(nullptr)};
    ASSERT_EQ(::posix_spawn(&child_, program().c_str(), &actions, nullptr, arguments.data(), environment.data()), 0);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  void attach() {
    pollfd incoming{listener_.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&incoming, 1, 30'000), 1) << "testpmd does not come";
    const Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(connection);
    ASSERT_TRUE(netd.supervisor().send(0, flow::Attach{flow::Device::net}, connection.get()));
    const auto started = netd.next(netd.supervisor());
    ASSERT_TRUE(started && started->as<flow::DeviceStarted>());
  }

  static std::string program() { return TESTPMD "/usr/bin/dpdk-testpmd"; }
  static std::string libraries() { return TESTPMD "/usr/lib/x86_64-linux-gnu"; }

  std::string directory_, path_;
  Fd listener_, input_;
  pid_t child_ = -1;
};

TEST_F(ForeignFrontEndTest, CarriesDatagramsBothWays) {
  start_testpmd();
  attach();
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd host(ends[0]), theirs(ends[1]);
  const flow::Dial dial{.guest_port = 4000, .protocol = flow::Protocol::udp};
  const std::string first = "datagram 0";
  const ByteView trailing(reinterpret_cast<const std::uint8_t*>(first.data()), first.size());
  ASSERT_TRUE(netd.supervisor().send(flow::kDialledBit | 1, dial, theirs.get(), trailing));
  for (int i = 0; i < 2000; ++i) {
    std::string wanted = "datagram " + std::to_string(i);
    if (i > 0) {
      wanted.resize(wanted.size() + static_cast<std::size_t>(i % 1300), '.');
      ASSERT_EQ(::send(host.get(), wanted.data(), wanted.size(), 0), static_cast<ssize_t>(wanted.size()));
    }
    pollfd answer{host.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&answer, 1, 10'000), 1) << "no answer to datagram " << i;
    std::array<char, 2048> bytes{};
    const ssize_t count = ::recv(host.get(), bytes.data(), bytes.size(), 0);
    ASSERT_GT(count, 0);
    ASSERT_EQ(std::string(bytes.data(), static_cast<std::size_t>(count)), wanted);
  }
}

}  // namespace
}  // namespace microagent::netd

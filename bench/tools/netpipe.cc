// netpipe: both ends of the network measurements, one static program that runs on the host and in the guest alike.
//
//   netpipe serve ADDRESS PORT             answers all of the below, over TCP and UDP, until it is killed
//   netpipe send ADDRESS PORT SECONDS      how much it can be sent
//   netpipe receive ADDRESS PORT SECONDS   how much it sends
//   netpipe ping ADDRESS PORT COUNT        one byte there and back over a TCP connection
//   netpipe ping-udp ADDRESS PORT COUNT    the same with datagrams
//   netpipe connect ADDRESS PORT COUNT     connect, one byte there and back, close
//
// In a guest the address "vsock" is the host's. A client prints one JSON object. Over TCP it begins with one letter
// that says what it wants: k (sink), s (source) or e (echo).

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string_view>
#include <vector>

#include "sockets.h"

namespace {

using namespace netpipe;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kChunk = 256 * 1024;
constexpr char kSink = 'k', kSource = 's', kEcho = 'e';
constexpr int kAnswerPatienceMs = 5000;

std::array<char, kChunk> buffer;

// What is asked for on the command line.
struct Task {
  std::string_view address;
  std::uint16_t port = 0;
  unsigned amount = 0;  // seconds or a count
};

// 0 at the other side's end.
std::size_t receive(int socket, std::size_t limit = kChunk) {
  const ssize_t count = ::recv(socket, buffer.data(), limit, 0);
  if (count < 0) die("recv");
  return static_cast<std::size_t>(count);
}

void send_all(int socket, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (count < 0) die("send");
    bytes += count;
    size -= static_cast<std::size_t>(count);
  }
}

// The server.

void sink(int socket) {
  std::uint64_t total = 0;
  while (const std::size_t count = receive(socket)) total += count;
  send_all(socket, reinterpret_cast<const char*>(&total), sizeof total);
}

[[noreturn]] void source(int socket) {
  // Ends when the client has had enough.
  while (::send(socket, buffer.data(), kChunk, MSG_NOSIGNAL) >= 0) {
  }
  std::exit(0);
}

void echo(int socket) {
  while (const std::size_t count = receive(socket)) send_all(socket, buffer.data(), count);
}

void serve_connection(int socket) {
  if (receive(socket, 1) == 0) return;
  switch (buffer[0]) {
    case kSink: return sink(socket);
    case kSource: return source(socket);
    case kEcho: return echo(socket);
    default: std::fprintf(stderr, "netpipe: a client wants something unknown\n");
  }
}

[[noreturn]] void serve_datagrams(int socket) {
  sockaddr_storage peer{};
  for (;;) {
    socklen_t size = sizeof peer;
    const ssize_t count = ::recvfrom(socket, buffer.data(), kChunk, 0, reinterpret_cast<sockaddr*>(&peer), &size);
    // An ICMP error of a client that has gone shows here, too.
    if (count < 0) continue;
    ::sendto(socket, buffer.data(), static_cast<std::size_t>(count), 0, reinterpret_cast<sockaddr*>(&peer), size);
  }
}

[[noreturn]] void serve(const Task& task) {
  std::signal(SIGCHLD, SIG_IGN);
  const int datagrams = listen_at(task.address, task.port, SOCK_DGRAM);
  const int connections = listen_at(task.address, task.port, SOCK_STREAM);
  if (::fork() == 0) serve_datagrams(datagrams);
  for (;;) {
    const int connection = ::accept(connections, nullptr, nullptr);
    if (connection < 0) continue;
    if (::fork() == 0) {
      serve_connection(connection);
      std::exit(0);
    }
    ::close(connection);
  }
}

// The clients.

int connect_for(const Task& task, char wish) {
  const int socket = connect_to(task.address, task.port, SOCK_STREAM);
  send_all(socket, &wish, 1);
  return socket;
}

void print_rate(std::uint64_t bytes, Clock::duration time) {
  const double seconds = Seconds(time).count();
  std::printf("{\"bytes\": %llu, \"seconds\": %.6f, \"mbps\": %.3f}\n", static_cast<unsigned long long>(bytes), seconds,
              static_cast<double>(bytes) * 8 / seconds / 1e6);
}

// Counts what the server says it got, until it says so.
void send_for(const Task& task) {
  const int socket = connect_for(task, kSink);
  const auto begun = Clock::now(), end = begun + std::chrono::seconds(task.amount);
  while (Clock::now() < end) send_all(socket, buffer.data(), kChunk);
  ::shutdown(socket, SHUT_WR);
  std::uint64_t total = 0;
  if (::recv(socket, &total, sizeof total, MSG_WAITALL) != sizeof total) die("the server's count");
  print_rate(total, Clock::now() - begun);
}

void receive_for(const Task& task) {
  const int socket = connect_for(task, kSource);
  const auto begun = Clock::now(), end = begun + std::chrono::seconds(task.amount);
  std::uint64_t total = 0;
  while (Clock::now() < end) total += receive(socket);
  print_rate(total, Clock::now() - begun);
}

void exchange(int socket) {
  const char byte = '!';
  if (::send(socket, &byte, 1, MSG_NOSIGNAL) != 1) die("send");
  pollfd polled{socket, POLLIN, 0};
  if (::poll(&polled, 1, kAnswerPatienceMs) != 1) die("no answer came");
  if (receive(socket, 1) != 1) die("the answer");
}

void print_times(std::vector<double>& microseconds) {
  const double total = std::accumulate(microseconds.begin(), microseconds.end(), 0.0);
  std::sort(microseconds.begin(), microseconds.end());
  const auto quantile = [&](double part) {
    return microseconds[static_cast<std::size_t>(part * static_cast<double>(microseconds.size() - 1))];
  };
  std::printf("{\"count\": %zu, \"meanus\": %.1f, \"p50us\": %.1f, \"p90us\": %.1f, \"p99us\": %.1f}\n",
              microseconds.size(), total / static_cast<double>(microseconds.size()), quantile(0.5), quantile(0.9),
              quantile(0.99));
}

template <typename Step>
void time_each(unsigned count, Step step) {
  std::vector<double> microseconds;
  for (unsigned i = 0; i < count; ++i) {
    const auto begun = Clock::now();
    step();
    microseconds.push_back(Seconds(Clock::now() - begun).count() * 1e6);
  }
  print_times(microseconds);
}

void ping(const Task& task) {
  const int socket = connect_for(task, kEcho);
  time_each(task.amount, [socket] { exchange(socket); });
}

void ping_udp(const Task& task) {
  const int socket = connect_to(task.address, task.port, SOCK_DGRAM);
  time_each(task.amount, [socket] { exchange(socket); });
}

void connect_each(const Task& task) {
  time_each(task.amount, [&task] {
    const int socket = connect_for(task, kEcho);
    exchange(socket);
    ::close(socket);
  });
}

struct Mode {
  std::string_view name;
  void (*run)(const Task&);
};

constexpr std::array<Mode, 5> kModes{
    {{"send", send_for}, {"receive", receive_for}, {"ping", ping}, {"ping-udp", ping_udp}, {"connect", connect_each}}};

template <typename T>
T number(std::string_view text, const char* what) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) {
    std::fprintf(stderr, "netpipe: %s is no %s\n", std::string(text).c_str(), what);
    std::exit(2);
  }
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.size() == 3 && words[0] == "serve") serve({words[1], number<std::uint16_t>(words[2], "port"), 0});
  for (const Mode& mode : kModes) {
    if (words.size() != 4 || words[0] != mode.name) continue;
    mode.run({words[1], number<std::uint16_t>(words[2], "port"), number<unsigned>(words[3], "amount")});
    return 0;
  }
  std::fprintf(stderr,
               "usage: netpipe serve ADDRESS PORT\n"
               "       netpipe send|receive ADDRESS PORT SECONDS\n"
               "       netpipe ping|ping-udp|connect ADDRESS PORT COUNT\n");
  return 2;
}

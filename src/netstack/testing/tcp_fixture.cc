#include "netstack/testing/tcp_fixture.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "wire/virtio.h"

namespace microagent::netstack::testing {
namespace {

// For what the kernel does within microseconds; only a broken test waits so long.
constexpr int kPatienceMs = 5000;

Fd listen_on_loopback(sockaddr_in& address) {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  MICROAGENT_CHECK(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  MICROAGENT_CHECK(::listen(listener.get(), 1) == 0);
  MICROAGENT_CHECK(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return listener;
}

// Congestion control without pacing: what is written is there at once. And without Nagle's delay.
void make_prompt(int fd) {
  const int on = 1;
  MICROAGENT_CHECK(::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
  MICROAGENT_CHECK(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
}

bool await(int fd, short what) {
  pollfd polled{fd, what, 0};
  return ::poll(&polled, 1, kPatienceMs) == 1;
}

std::size_t queued(int fd) {
  int bytes = 0;
  return ::ioctl(fd, SIOCINQ, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace

wire::TcpOptions guest_options() {
  wire::TcpOptions options;
  options.mss = kMss;
  options.window_scale = 7;
  options.sack_permitted = true;
  return options;
}

SocketPair make_tcp_pair() {
  sockaddr_in address;
  const Fd listener = listen_on_loopback(address);
  SocketPair pair;
  pair.ours.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  make_prompt(pair.ours.get());
  const int buffer = 1024 * 1024;
  MICROAGENT_CHECK(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) == 0);
  MICROAGENT_CHECK(::connect(pair.ours.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  pair.host.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  MICROAGENT_CHECK(static_cast<bool>(pair.host));
  make_prompt(pair.host.get());
  int nonblocking = 1;
  MICROAGENT_CHECK(::ioctl(pair.ours.get(), FIONBIO, &nonblocking) == 0);
  return pair;
}

SocketPair make_unix_pair() {
  std::array<int, 2> ends{};
  MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

TcpFixture::TcpFixture() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  config.sockets_peek_at_offset = true;
  restart();
}

void TcpFixture::restart() {
  flows.reset();
  upcalls.watched.clear();
  polled_.clear();
  counters = {};
  flows = std::make_unique<TcpFlows>(environment);
}

void TcpFixture::send(const Segment& segment, bool flush) {
  wire::TcpHeader header;
  header.source_port = guest.port;
  header.destination_port = server.port;
  header.sequence = guest_isn + segment.seq;
  header.acknowledgment = segment.has(kAck) ? our_isn + segment.ack : 0;
  header.flags = segment.flags;
  header.window = segment.window;
  header.urgent_pointer = segment.urgent;
  wire::TcpOptions options = segment.options;
  if (timestamps && !options.timestamps) options.timestamps = wire::TcpTimestamps{now_ms(), echo};
  std::array<std::uint8_t, wire::kMaxTcpOptions> option_bytes;
  const std::size_t option_count = wire::encode_tcp_options(options, option_bytes);
  header.data_offset = static_cast<std::uint8_t>((sizeof header + option_count) / 4 << 4);
  Bytes transport = joined({bytes_of(header), ByteView(option_bytes).first(option_count), segment.data});
  const IpFields fields{.source = guest.address, .destination = server.address, .protocol = wire::kProtocolTcp};
  put_checksum(transport, wire::kTcpChecksumOffset, fields);

  Bytes bytes = ip_packet(fields, transport);
  const std::size_t network_bytes = bytes.size() - transport.size();
  std::vector<iovec> pieces;
  const std::size_t step = piece_bytes == 0 ? transport.size() : piece_bytes;
  for (std::size_t at = network_bytes; at < bytes.size(); at += step) {
    pieces.push_back(iovec{bytes.data() + at, std::min(step, bytes.size() - at)});
  }
  Packet packet{.source = fields.source,
                .destination = fields.destination,
                .protocol = fields.protocol,
                .hop_limit = fields.hop_limit,
                .payload = pieces,
                .bytes = transport.size(),
                .network_header = ByteView(bytes).first(network_bytes)};
  flows->on_packet(packet);
  if (flush) flows->flush();
}

std::vector<Segment> TcpFixture::seen() {
  std::vector<Segment> segments;
  for (const Frame& frame : wire.take()) {
    const Parsed parsed = parse(frame);
    EXPECT_EQ(parsed.problem, "");
    EXPECT_EQ(parsed.protocol, wire::kProtocolTcp);
    EXPECT_EQ(parsed.source, server.address);
    EXPECT_EQ(parsed.destination, guest.address);
    const auto header = header_of<wire::TcpHeader>(parsed.payload);
    EXPECT_EQ(header.source_port, server.port);
    EXPECT_EQ(header.destination_port, guest.port);
    const ByteView rest = ByteView(parsed.payload).subspan(sizeof header);
    const std::size_t option_bytes = header.header_bytes() - sizeof header;
    const auto options = wire::parse_tcp_options(rest.first(option_bytes));
    EXPECT_TRUE(options.has_value());
    if ((header.flags & kSyn) != 0) our_isn = header.sequence;
    Segment segment{.flags = header.flags,
                    .seq = header.sequence - our_isn,
                    .ack = header.acknowledgment - guest_isn,
                    .window = header.window,
                    .options = options.value_or(wire::TcpOptions{}),
                    .data = {},
                    .offload = frame.offload};
    const ByteView data = rest.subspan(option_bytes);
    segment.data.assign(data.begin(), data.end());
    if (segment.options.timestamps) echo = segment.options.timestamps->value;
    segments.push_back(std::move(segment));
  }
  return segments;
}

Segment TcpFixture::only() {
  auto segments = seen();
  EXPECT_EQ(segments.size(), 1U);
  return segments.empty() ? Segment{.flags = 0} : segments.front();
}

Segment TcpFixture::last() {
  auto segments = seen();
  EXPECT_FALSE(segments.empty());
  return segments.empty() ? Segment{.flags = 0} : segments.back();
}

Segment TcpFixture::expect_ack(std::uint32_t ack) {
  const Segment segment = only();
  EXPECT_EQ(segment.flags, kAck);
  EXPECT_EQ(segment.ack, ack);
  EXPECT_EQ(segment.data.size(), 0U);
  return segment;
}

void TcpFixture::give_room(std::optional<std::size_t> frames) {
  wire.frames_of_room = frames;
  flows->on_wire_room();
  flows->flush();
}

void TcpFixture::use(Endpoint guest_end, Endpoint server_end) {
  guest = guest_end;
  server = server_end;
  our_isn = 0;
  guest_next = guest_heard = 1;
}

void TcpFixture::send_syn(const wire::TcpOptions& options) {
  timestamps = options.timestamps.has_value();
  send({.flags = kSyn, .window = 65'535, .options = options});
}

FlowId TcpFixture::open(const wire::TcpOptions& options) {
  const std::size_t before = upcalls.opened.size();
  send_syn(options);
  EXPECT_EQ(upcalls.opened.size(), before + 1);
  return upcalls.opened.empty() ? 0 : upcalls.opened.back().flow;
}

void TcpFixture::splice(FlowId flow, SocketPair pair) {
  descriptor = pair.ours.get();
  take_host(std::move(pair.host));
  flows->on_splice(flow, std::move(pair.ours), budget);
  flows->flush();
  watch_new();
}

void TcpFixture::take_host(Fd end) {
  // That of an earlier connection lives on.
  if (host) earlier_hosts_.push_back(std::move(host));
  host = std::move(end);
}

Segment TcpFixture::finish_handshake() {
  const Segment answer = only();
  EXPECT_EQ(answer.flags, kSyn | kAck);
  EXPECT_EQ(answer.ack, 1U);
  send({.seq = 1, .ack = 1});
  guest_next = guest_heard = 1;
  return answer;
}

FlowId TcpFixture::establish(const wire::TcpOptions& options) { return establish_with(make_tcp_pair(), options); }

FlowId TcpFixture::establish_with(SocketPair pair, const wire::TcpOptions& options) {
  const FlowId flow = open(options);
  splice(flow, std::move(pair));
  (void)finish_handshake();
  events();
  expect_silence();
  return flow;
}

FlowId TcpFixture::establish_peeked(std::size_t limit) {
  const FlowId flow = open();
  flows->on_peek(flow, limit);
  (void)finish_handshake();
  expect_silence();
  return flow;
}

Segment TcpFixture::dial(FlowId flow, const GuestService& service) {
  SocketPair pair = make_tcp_pair();
  descriptor = pair.ours.get();
  take_host(std::move(pair.host));
  flows->dial(flow, service, std::move(pair.ours));
  flows->flush();
  watch_new();
  // Which port the gateway took is in the frame.
  EXPECT_EQ(wire.frames.size(), 1U);
  if (wire.frames.empty()) return {.flags = 0};
  const Parsed frame = parse(wire.frames.front());
  const auto header = header_of<wire::TcpHeader>(frame.payload);
  use({frame.destination, service.port}, {frame.source, header.source_port});
  return only();
}

FlowId TcpFixture::establish_dialled() {
  const FlowId flow = FlowId{1} << 63 | 1;
  const Segment syn = dial(flow, 8080);
  EXPECT_EQ(syn.flags, kSyn);
  send({.flags = kSyn | kAck, .ack = 1, .window = 65'535, .options = guest_options()});
  expect_ack(1);
  events();
  return flow;
}

void TcpFixture::guest_says(const Bytes& bytes) {
  send({.seq = guest_next, .ack = guest_heard, .data = bytes});
  guest_next += static_cast<std::uint32_t>(bytes.size());
}

void TcpFixture::guest_acks(std::uint32_t ack, std::uint16_t window) {
  guest_heard = ack;
  send({.seq = guest_next, .ack = ack, .window = window});
}

void TcpFixture::guest_ends() {
  send({.flags = kFin | kAck, .seq = guest_next, .ack = guest_heard});
  ++guest_next;
}

Bytes TcpFixture::guest_hears() {
  Bytes heard;
  for (auto segments = seen(); !segments.empty(); segments = seen()) {
    const std::uint32_t before = guest_heard;
    for (const Segment& segment : segments) {
      EXPECT_EQ(segment.seq, guest_heard);
      heard.insert(heard.end(), segment.data.begin(), segment.data.end());
      guest_heard = segment.end();
    }
    if (guest_heard == before) break;
    guest_acks(guest_heard);
    events();
  }
  return heard;
}

void TcpFixture::host_says(const Bytes& bytes) {
  const std::size_t before = queued(descriptor);
  EXPECT_EQ(host_writes(bytes), bytes.size());
  // Loopback delivers within the system call but for rare moments.
  for (int turns = 0; queued(descriptor) < before + bytes.size() && turns < kPatienceMs; ++turns) {
    (void)::poll(nullptr, 0, 1);
  }
  events();
}

std::size_t TcpFixture::host_writes(ByteView bytes) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::send(host.get(), bytes.data() + written, bytes.size() - written, MSG_NOSIGNAL);
    if (count <= 0) break;
    written += static_cast<std::size_t>(count);
  }
  return written;
}

void TcpFixture::host_ends() {
  EXPECT_EQ(::shutdown(host.get(), SHUT_WR), 0);
  events(true);
}

void TcpFixture::host_resets() {
  const linger now{1, 0};
  EXPECT_EQ(::setsockopt(host.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  host.reset();
  events(true);
}

Bytes TcpFixture::host_hears(std::size_t bytes) {
  Bytes heard(bytes);
  std::size_t count = 0;
  while (count < bytes) {
    if (!await(host.get(), POLLIN)) break;
    const ssize_t got = ::recv(host.get(), heard.data() + count, bytes - count, 0);
    if (got <= 0) break;
    count += static_cast<std::size_t>(got);
  }
  EXPECT_EQ(count, bytes);
  heard.resize(count);
  return heard;
}

Bytes TcpFixture::host_drains() {
  Bytes heard;
  std::array<std::uint8_t, 65'536> buffer;
  for (;;) {
    const ssize_t got = ::recv(host.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return heard;
    heard.insert(heard.end(), buffer.data(), buffer.data() + got);
  }
}

bool TcpFixture::host_sees_end() {
  std::uint8_t byte = 0;
  return await(host.get(), POLLIN) && ::recv(host.get(), &byte, 1, 0) == 0;
}

bool TcpFixture::host_sees_reset() {
  std::uint8_t byte = 0;
  return await(host.get(), POLLIN) && ::recv(host.get(), &byte, 1, 0) < 0 && errno == ECONNRESET;
}

// What the table has begun to watch, or has ceased to.
void TcpFixture::watch_new() {
  std::erase_if(polled_, [this](const auto& each) {
    const auto still = upcalls.watched.find(each.first);
    return still == upcalls.watched.end() || still->second != each.second;
  });
  for (const auto& [fd, token] : upcalls.watched) {
    if (!polled_.emplace(fd, token).second) continue;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = token;
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    MICROAGENT_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  }
}

void TcpFixture::events(bool wait) {
  watch_new();
  std::array<epoll_event, 64> happened;
  int patience = wait ? kPatienceMs : 0;
  for (int count = 0; (count = ::epoll_wait(epoll_.get(), happened.data(), happened.size(), patience)) > 0;) {
    for (const epoll_event& event : std::span(happened).first(static_cast<std::size_t>(count))) {
      flows->on_descriptor(event.data.u64, event.events);
    }
    flows->flush();
    watch_new();
    patience = 0;
  }
}

void TcpFixture::fill_host() {
  Segment answer;
  do {
    guest_says(pattern(16'384));
    answer = only();
  } while (answer.ack == guest_next);
}

void TcpFixture::close_by_guest_first() {
  guest_ends();
  seen();
  host_ends();
  guest_acks(only().end());
}

void TcpFixture::close_by_host_first() {
  host_ends();
  guest_acks(only().end());
  guest_ends();
  EXPECT_EQ(last().ack, guest_next);
}

void TcpFixture::advance(std::uint64_t ns) {
  environment.now_ns += ns;
  flows->on_time();
  flows->flush();
}

void TcpFixture::run_for(std::uint64_t ns) {
  const std::uint64_t end = environment.now_ns + ns;
  for (int turns = 0; turns < 1'000'000; ++turns) {
    const auto next = flows->next_deadline();
    if (!next || *next > end) break;
    environment.now_ns = std::max(environment.now_ns, *next);
    flows->on_time();
    flows->flush();
  }
  environment.now_ns = end;
  flows->on_time();
  flows->flush();
}

End TcpFixture::only_end() { return only_totals().end; }

FlowTotals TcpFixture::only_totals() {
  EXPECT_EQ(upcalls.ends.size(), 1U);
  return upcalls.ends.empty() ? FlowTotals{.end = End::no_resources} : upcalls.ends.front().totals;
}

}  // namespace microagent::netstack::testing

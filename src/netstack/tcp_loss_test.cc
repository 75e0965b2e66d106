// Whole transfers over a wire that loses, doubles and reorders, in virtual time, against a guest that shares no code
// with the stack.

#include <sys/socket.h>

#include <deque>

#include "netstack/testing/model_guest.h"

namespace microagent::netstack {
namespace {

using namespace testing;

struct Weather {
  std::uint32_t seed = 0;
  double loss = 0.05, doubling = 0.02;
  std::uint64_t delay_ns = kMs, jitter_ns = 3 * kMs;
  std::size_t guest_bytes = 0, host_bytes = 0;
  bool unix_socket = false, peek_at_offset = true, tso = false, sack = true, stamps = true;
  std::uint32_t guest_window = 256 * 1024;
  bool short_of_room = false;
};

class TcpLossTest : public TcpFixture {
 protected:
  void transfer(const Weather& weather);
  std::uint64_t elapsed_ns = 0;

 private:
  struct Travelling {
    Segment segment;
    bool to_guest = false;
  };

  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }

  void put(const Segment& segment, bool to_guest) {
    if (chance(weather_.loss)) return;
    const int copies = chance(weather_.doubling) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      const std::uint64_t jitter = weather_.jitter_ns == 0 ? 0 : random_() % weather_.jitter_ns;
      travelling_.emplace(environment.now_ns + weather_.delay_ns + jitter, Travelling{segment, to_guest});
    }
  }

  // What both ends have to say goes on its way, and the host's program does what it can.
  void let_all_speak() {
    events();
    if (said_ < host_says_.size()) said_ += host_writes(ByteView(host_says_).subspan(said_));
    if (said_ == host_says_.size() && !host_ended_) {
      ::shutdown(host.get(), SHUT_WR);
      host_ended_ = true;
    }
    const Bytes more = host_drains();
    host_heard_.insert(host_heard_.end(), more.begin(), more.end());
    events();
    for (const Segment& segment : seen()) put(segment, true);
    for (Segment& segment : guest_->take_segments()) {
      for (wire::SackBlock& block : std::span(segment.options.sack).first(segment.options.sack_count)) {
        block = {our_isn + block.left, our_isn + block.right};
      }
      put(segment, false);
    }
    if (!weather_.short_of_room) return;
    if (wire.frames_of_room == 0U) give_room(1 + random_() % 8);
  }

  // To the next thing that happens. False when nothing ever will.
  bool step() {
    std::uint64_t next = kForever;
    if (!travelling_.empty()) next = travelling_.begin()->first;
    next = std::min(next, flows->next_deadline().value_or(kForever));
    next = std::min(next, guest_->next_deadline().value_or(kForever));
    if (next == kForever) return false;
    environment.now_ns = std::max(environment.now_ns, next);
    flows->on_time();
    guest_->on_time(environment.now_ns);
    while (!travelling_.empty() && travelling_.begin()->first <= environment.now_ns) {
      const Travelling arrived = std::move(travelling_.extract(travelling_.begin()).mapped());
      if (arrived.to_guest) guest_->on_segment(arrived.segment, environment.now_ns);
      else send(arrived.segment, false);
    }
    flows->flush();
    return true;
  }

  static constexpr std::uint64_t kForever = ~std::uint64_t{0};

  Weather weather_;
  Random random_;
  std::multimap<std::uint64_t, Travelling> travelling_;
  std::optional<ModelGuest> guest_;
  Bytes host_says_, host_heard_;
  std::size_t said_ = 0;
  bool host_ended_ = false;
};

void TcpLossTest::transfer(const Weather& weather) {
  weather_ = weather;
  random_.seed(weather.seed);
  travelling_.clear();
  host_heard_.clear();
  said_ = 0;
  host_ended_ = false;
  upcalls.ends.clear();
  config.sockets_peek_at_offset = weather.peek_at_offset;
  wire.can = {.csum = weather.tso, .tso4 = weather.tso, .tso6 = false, .uso = false};
  wire.frames_of_room.reset();
  next_port();
  guest_isn = random_();
  environment.now_ns += random_() % 1'000'000 * kMs;  // our initial sequence number

  wire::TcpOptions options = guest_options();
  options.sack_permitted = weather.sack;
  if (weather.stamps) options.timestamps = wire::TcpTimestamps{now_ms(), 0};
  establish_with(weather.unix_socket ? make_unix_pair() : make_tcp_pair(), options);
  const std::uint64_t begun_ns = environment.now_ns;

  const Bytes guest_says = pattern(weather.guest_bytes, 1);
  host_says_ = pattern(weather.host_bytes, 2);
  guest_.emplace(guest_says, ModelGuest::Settings{.sack = weather.sack,
                                                  .scale = 7,
                                                  .peer_scale = 7,
                                                  .window = weather.guest_window,
                                                  .mss = kMss - (weather.stamps ? 12U : 0U)});
  // The acknowledgement of the SYN|ACK told the window of a Segment; this one tells the guest's own.
  guest_->on_segment({.seq = 1, .ack = 1, .window = 512}, environment.now_ns);

  const auto over = [&] {
    return guest_->finished() && host_heard_.size() == guest_says.size() && !upcalls.ends.empty();
  };
  const std::uint64_t enough_ns = 60 * kSec + (weather.guest_bytes + weather.host_bytes) * 100'000;  // 10 kB/s
  do {
    let_all_speak();
    ASSERT_LT(environment.now_ns - begun_ns, enough_ns) << "seed " << weather.seed;
  } while (!over() && step());
  ASSERT_TRUE(over()) << "seed " << weather.seed << ": guest finished " << guest_->finished() << ", host heard "
                      << host_heard_.size() << " of " << guest_says.size() << ", guest heard " << guest_->heard().size()
                      << " of " << host_says_.size();
  EXPECT_TRUE(host_heard_ == guest_says) << "seed " << weather.seed;
  EXPECT_TRUE(guest_->heard() == host_says_) << "seed " << weather.seed;
  EXPECT_EQ(only_end(), End::finished) << "seed " << weather.seed;
  EXPECT_EQ(only_totals().bytes_in, host_says_.size());
  EXPECT_EQ(only_totals().bytes_out, guest_says.size());
  EXPECT_EQ(counters.flows, 0U);
  elapsed_ns = environment.now_ns - begun_ns;
  run_for(10 * kSec);
  wire.take();
  host.reset();
}

TEST_F(TcpLossTest, FairWeather) {
  transfer({.loss = 0, .doubling = 0, .jitter_ns = 0, .guest_bytes = 2 << 20, .host_bytes = 2 << 20});
  EXPECT_LT(elapsed_ns, 5 * kSec);
}

TEST_F(TcpLossTest, EightMebibytesEachWay) { transfer({.seed = 1, .guest_bytes = 8 << 20, .host_bytes = 8 << 20}); }

TEST_F(TcpLossTest, EightMebibytesEachWayInLargeFrames) {
  transfer({.seed = 2, .guest_bytes = 8 << 20, .host_bytes = 8 << 20, .tso = true});
}

TEST_F(TcpLossTest, EightMebibytesFromAKernelWithoutPeekOffset) {
  transfer({.seed = 3, .guest_bytes = 0, .host_bytes = 8 << 20, .peek_at_offset = false});
}

TEST_F(TcpLossTest, EightMebibytesThroughAUnixSocket) {
  transfer({.seed = 4, .guest_bytes = 8 << 20, .host_bytes = 8 << 20, .unix_socket = true});
}

TEST_F(TcpLossTest, AThirdIsLost) {
  transfer({.seed = 5, .loss = 0.33, .guest_bytes = 100'000, .host_bytes = 100'000});
}

TEST_F(TcpLossTest, ManySeeds) {
  for (std::uint32_t seed = 100; seed < 200 && !HasFailure(); ++seed) {
    Random random(seed);
    const bool stamps = random() % 2 == 0;
    transfer({.seed = seed,
              // Without stamps nothing that is sent again is timed (Karn), and timeouts stay backed off.
              .loss = stamps && random() % 3 == 0 ? 0.15 : 0.05,
              .doubling = 0.05,
              .delay_ns = random() % 20 * kMs,
              .jitter_ns = random() % 30 * kMs,
              .guest_bytes = random() % 200'000,
              .host_bytes = random() % 200'000,
              .unix_socket = random() % 3 == 0,
              .peek_at_offset = random() % 2 == 0,
              .tso = random() % 2 == 0,
              .sack = random() % 3 != 0,
              .stamps = stamps,
              .guest_window = 2000 + random() % 300'000,
              .short_of_room = random() % 2 == 0});
  }
}

}  // namespace
}  // namespace microagent::netstack

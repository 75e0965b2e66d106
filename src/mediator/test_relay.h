#pragma once

// A relay between two socket pairs, whose outer ends are the test's: the guest's client and the upstream's server.

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mediator/relay.h"
#include "mediator/test_loop.h"

namespace microagent::mediator {

// Lets everything through but what it is told to refuse, and keeps every story.
class TestGate : public RequestGate {
 public:
  std::optional<Refused> admit(http::RequestMessage& request, RequestStory&) override {
    if (request.path != refused_path) return std::nullopt;
    return Refused{403, "refused by the test", "no\n"};
  }
  Refused refuse_malformed(const std::string& fault, bool) override {
    faults.push_back(fault);
    return {400, fault, fault + "\n"};
  }
  Refused refuse_slow() override {
    faults.push_back("slow");
    return {408, "slow", "slow\n"};
  }
  Refused upstream_failed(const std::string& why, bool) override {
    failures.push_back(why);
    return {502, why, why + "\n"};
  }
  void record(const RequestStory& story) override { stories.push_back(story); }
  bool upstream_is_reused() const override { return reused; }
  asio::awaitable<Replacement> replace_upstream() override {
    ++replaced;
    if (replaces != nullptr) replaces->reset();  // as a real gate does, sooner than there is another
    if (waits_for_another) co_await forever();
    if (!replacement) co_return no_upstream("nobody is there");
    co_return replacement.get();
  }
  bool can_replace_upstream() const override { return can_replace; }
  void drop_upstream() override {
    if (replaces != nullptr) replaces->reset();
  }
  void leave_upstream_clean() override { clean = true; }
  std::optional<http::Http2Session> take_session() override { return std::exchange(session, std::nullopt); }
  void leave_session(http::Http2Session left) override {
    left.detach();
    session = std::move(left);
  }
  std::chrono::milliseconds patience() const override { return waits; }
  std::chrono::milliseconds head_time() const override { return heads_wait; }
  std::shared_ptr<void> borrow(std::size_t bytes) override {
    return bytes > memory ? nullptr : std::make_shared<int>();
  }

  std::string refused_path = "/refused";
  std::vector<std::string> faults, failures;
  std::vector<RequestStory> stories;
  std::chrono::milliseconds waits = kPatience;
  std::chrono::milliseconds heads_wait = kHeadTime;
  std::size_t memory = std::size_t{1} << 30;
  bool reused = false;  // the relay's upstream, and what is to take its place
  StreamPtr* replaces = nullptr;
  StreamPtr replacement;
  bool waits_for_another = false, can_replace = false;
  int replaced = 0;
  bool clean = false;  // is what the relay has left
  std::optional<http::Http2Session> session;
};

class RelayTest : public testing::Test {
 protected:
  explicit RelayTest(std::unique_ptr<TestGate> gate = std::make_unique<TestGate>()) : own_gate_(std::move(gate)) {}

  using Relay = asio::awaitable<void> (*)(Stream&, Stream&, http::Scheme, RequestGate&);

  void start(Relay relay) {
    auto guest = socket_pair(SOCK_STREAM), upstream = socket_pair(SOCK_STREAM);
    guest_ = std::move(guest.first);
    upstream_ = std::move(upstream.first);
    relays_guest_ = plain_stream(std::move(*watch(loop_.io.get_executor(), std::move(guest.second))));
    relays_upstream_ = plain_stream(std::move(*watch(loop_.io.get_executor(), std::move(upstream.second))));
    gate_.replaces = &relays_upstream_;
    spawn(loop_.io.get_executor(), run(relay));
  }

  asio::awaitable<void> run(Relay relay) {
    using namespace asio::experimental::awaitable_operators;
    co_await (relay(*relays_guest_, *relays_upstream_, http::Scheme::https, gate_) || guest_gone());
    done_ = true;
    relays_guest_.reset();
    if (!keeps_upstream_) relays_upstream_.reset();
  }

  // Another guest, whose relay goes on with the upstream that the last one has left; the guest's end.
  Fd start_again(Relay relay) {
    auto guest = socket_pair(SOCK_STREAM);
    relays_guest_ = plain_stream(std::move(*watch(loop_.io.get_executor(), std::move(guest.second))));
    done_ = gate_.clean = false;
    spawn(loop_.io.get_executor(), run(relay));
    return std::move(guest.first);
  }

  asio::awaitable<void> guest_gone() {
    gone_.expires_at(kNever);
    co_await gone_.async_wait(kAsTuple);
  }
  // The guest's flow is gone, whatever the relay is at.
  void cut_off() { gone_.cancel(); }

  void say(const Fd& end, std::string_view text) { put(end, bytes(text)); }

  // Exactly these are the next bytes at this end.
  void expect(const Fd& end, std::string_view text) {
    std::string got;
    loop_.until([&] {
      const auto some = arrived(end);
      if (some) got.append(some->begin(), some->end());
      return got.size() >= text.size() || (some && some->empty());
    });
    EXPECT_EQ(got, text);
  }
  void expect_end(const Fd& end) {
    EXPECT_TRUE(loop_.until([&] {
      const auto some = arrived(end);
      if (some) EXPECT_TRUE(some->empty()) << std::string(some->begin(), some->end());
      return some && some->empty();
    }));
  }
  std::string until_end(const Fd& end) {
    std::string all;
    EXPECT_TRUE(loop_.until([&] {
      const auto some = arrived(end);
      if (some) all.append(some->begin(), some->end());
      return some && some->empty();
    }));
    return all;
  }
  void expect_nothing(const Fd& end) {
    for (int turns = 0; turns < 5; ++turns) {
      loop_.io.restart();
      loop_.io.run_one_for(std::chrono::milliseconds(2));
    }
    EXPECT_EQ(arrived(end), std::nullopt);
  }
  bool is_done() {
    return loop_.until([&] { return done_; });
  }

  std::unique_ptr<TestGate> own_gate_;  // outlives the coroutines that the loop destroys, which tell it their stories
  TestGate& gate_ = *own_gate_;
  TestLoop loop_;
  Fd guest_, upstream_;
  StreamPtr relays_guest_, relays_upstream_;
  asio::steady_timer gone_{loop_.io};
  bool done_ = false;
  bool keeps_upstream_ = false;  // when the relay is over
};

}  // namespace microagent::mediator

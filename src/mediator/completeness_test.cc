// Every flow that is in the log as begun is in it as ended, once, whatever dies when.

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "audit/reader.h"
#include "audit/verify.h"
#include "mediator/test_mediator.h"

namespace microagent::mediator {
namespace {

// One life of a mediator over a log that others have written before.
class Life : public MediatorTest {
 public:
  explicit Life(std::filesystem::path log) {
    config_.audit_file = std::move(log);
    config_.look.web_ports.push_back(server_.port());
    start();
  }
  void TestBody() override {}

  // Opens flows of any kind and lets any of them go on, end or hang, until it is killed.
  void live(std::mt19937& random, unsigned steps) {
    for (unsigned step = 0; step < steps; ++step) {
      switch (random() % 6) {
        case 0: open(++last_flow_, Protocol::tcp, "127.0.0.1", server_.port()); break;
        case 1: open(++last_flow_, Protocol::udp, "127.0.0.1", datagrams_.port()); break;
        case 2: open(++last_flow_, Protocol::tcp, "127.0.0.1", closed_.port()); break;
        case 3: open(++last_flow_, Protocol::tcp, "10.0.0.1", 80); break;
        case 4: speak(random); break;
        case 5: close_any(random); break;
      }
      loop_.io.restart();
      loop_.io.poll();
      take_answers();
      while (Fd accepted = server_.accept()) accepted_.push_back(std::move(accepted));
    }
  }

  // In order, as when netd ends.
  void end() {
    netd_.reset();
    EXPECT_TRUE(ended());
  }

 private:
  void take_answers() {
    std::optional<Answer> answer;
    while (take_message(answer)) {
      if (!answer) continue;
      if (answer->action == Action::peek) looking_.push_back(answer->flow);
      if (answer->action == Action::splice) spliced_[answer->flow] = std::move(answer->fd);
      answer.reset();
    }
  }

  void speak(std::mt19937& random) {
    if (looking_.empty()) return;
    const std::size_t which = random() % looking_.size();
    constexpr std::string_view kWords = "SSH-2.0-x\r\n";
    const flow::FlowId flow = looking_[which];
    looking_.erase(looking_.begin() + static_cast<std::ptrdiff_t>(which));
    if (random() % 3 == 0) {
      ASSERT_TRUE(netd_->send(flow, flow::Closed{.end = flow::End::guest_reset}));
      return;
    }
    ASSERT_TRUE(netd_->send(flow, flow::FirstBytes{}, -1,
                            ByteView(reinterpret_cast<const std::uint8_t*>(kWords.data()), kWords.size())));
  }

  void close_any(std::mt19937& random) {
    if (spliced_.empty()) return;
    const auto which = std::next(spliced_.begin(), static_cast<std::ptrdiff_t>(random() % spliced_.size()));
    ASSERT_TRUE(netd_->send(which->first, flow::Closed{.bytes_out = 1, .end = flow::End::finished}));
    spliced_.erase(which);
  }

  LoopbackSocket server_{SOCK_STREAM}, datagrams_{SOCK_DGRAM}, closed_{SOCK_STREAM, 0, false};
  std::vector<Fd> accepted_;
  std::vector<flow::FlowId> looking_;
  std::map<flow::FlowId, Fd> spliced_;
};

// How many flows to open in all, roughly. CTest has a run with 100,000, too.
unsigned flows_wanted() {
  const char* given = std::getenv("MICROAGENT_TEST_FLOWS");
  return given == nullptr ? 20'000 : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}

struct Tally {
  std::map<std::uint64_t, std::pair<unsigned, unsigned>> flows;  // how often each was opened, and closed
  unsigned lost = 0;
};

Tally tally(const std::filesystem::path& log) {
  Tally all;
  audit::Reader reader(log);
  EXPECT_TRUE(reader.read_on([&](const audit::ParsedRecord& record, std::string_view) -> Status {
    if (audit::closing_event(record.event)) ++all.flows[record.flow].first;
    if (record.event == audit::Event::close || record.event == audit::Event::udp_close) {
      ++all.flows[record.flow].second;
      all.lost += record.text("end") == "lost";
    }
    return {};
  }));
  return all;
}

TEST(Completeness, EveryAllowHasOneCloseThroughDeathsAtAnyMoment) {
  constexpr unsigned kStepsAFlow = 3;  // a third of the steps opens one that is let through
  const unsigned wanted = flows_wanted(), lives = std::max(60U, wanted / 500);
  const unsigned most_steps = 2 * kStepsAFlow * wanted / lives;
  const TestDirectory directory;
  std::mt19937 random(11);
  for (unsigned i = 0; i < lives; ++i) {
    Life life(directory.audit_file());
    life.live(random, 1 + random() % most_steps);
    if (random() % 4 == 0) life.end();
  }
  Life(directory.audit_file()).end();

  ASSERT_TRUE(audit::verify(directory.audit_file()));
  const Tally all = tally(directory.audit_file());
  for (const auto& [flow, counts] : all.flows) {
    EXPECT_EQ(counts.first, 1U) << flow;
    EXPECT_EQ(counts.second, 1U) << flow;
  }
  EXPECT_GT(all.flows.size(), wanted / 2);
  EXPECT_GT(all.lost, 0U);
}

}  // namespace
}  // namespace microagent::mediator

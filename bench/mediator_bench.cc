// What a decision costs: the policy alone, the readers of first bytes, a record, and a whole flow through the mediator
// with a make-believe netd, and what it weighs.
//   build/bench/mediator_bench --benchmark_counters_tabular=true

#include <benchmark/benchmark.h>
#include <malloc.h>
#include <sys/resource.h>

#include "mediator/first_words.h"
#include "mediator/recorder.h"
#include "mediator/test_mediator.h"
#include "policy/decision.h"
#include "wire/test_client_hello.h"

namespace microagent::mediator {
namespace {

policy::Policy policy_with(std::int64_t rules) {
  policy::PolicyText text;
  text.lock_allowlist = true;
  for (std::int64_t i = 0; i < rules; ++i) {
    text.allow.push_back(policy::rule_text(i % 2 == 0 ? "h" + std::to_string(i) + ".example:443"
                                                      : ".z" + std::to_string(i) + ".example"));
  }
  return *policy::Policy::compile(text);
}

void decide(benchmark::State& state) {
  const policy::Policy policy = policy_with(state.range(0));
  policy::Surroundings surroundings;
  policy::Facts facts;
  facts.destination = *policy::parse_address("203.0.113.9");
  facts.port = 443;
  facts.bound_names = {"h0.example"};
  facts.content = policy::Content::tls;
  facts.name = "h0.example";
  for (auto _ : state) benchmark::DoNotOptimize(policy::decide(policy, surroundings, facts));
}
BENCHMARK(decide)->Arg(1)->Arg(1'000)->Arg(100'000);

void read_client_hello(benchmark::State& state) {
  const auto hello = wire::TestHello::to("api.example.com").with(16, wire::protocol_list({"h2", "http/1.1"})).encode();
  for (auto _ : state) {
    WordsReader reader;
    benchmark::DoNotOptimize(reader.feed(hello));
  }
}
BENCHMARK(read_client_hello);

void read_request_head(benchmark::State& state) {
  constexpr std::string_view kHead =
      "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/7.88\r\nAccept: */*\r\n\r\n";
  const ByteView bytes(reinterpret_cast<const std::uint8_t*>(kHead.data()), kHead.size());
  for (auto _ : state) {
    WordsReader reader;
    benchmark::DoNotOptimize(reader.feed(bytes));
  }
}
BENCHMARK(read_request_head);

void write_record(benchmark::State& state) {
  const TestDirectory directory;
  Recorder recorder{std::move(*audit::Writer::open(directory.audit_file(), "web"))};
  const Record record{audit::Event::dial_error,
                      {{"host", "api.example.com"},
                       {"dst", "203.0.113.9:443"},
                       {"src", "192.168.64.2:40000"},
                       {"error", "Connection refused"}}};
  for (auto _ : state) recorder.write(recorder.new_flow(), record);
}
BENCHMARK(write_record);

// One mediator for a benchmark's run.
class World : public MediatorTest {
 public:
  explicit World(policy::PolicyText egress) {
    config_.egress = std::move(egress);
    start();
  }
  void TestBody() override {}

  // From the SYN to the splice, with the record, and the record of its end.
  void one_datagram_flow(std::uint16_t port) {
    Fd upstream = spliced(Protocol::udp, "127.0.0.1", port);
    close();
  }
  Fd one_kept_flow(std::uint16_t port) { return spliced(Protocol::udp, "127.0.0.1", port); }
  void one_stream_flow(const LoopbackSocket& server) {
    Fd upstream = spliced(Protocol::tcp, "127.0.0.1", server.port());
    close();
    server.accept();
  }
  void one_looked_at_flow(const LoopbackSocket& server, ByteView hello) {
    peeked("127.0.0.1", server.port());
    say(hello);
    next_answer();
    close();
    server.accept();
  }
};

policy::PolicyText mode(policy::Mode mode) {
  policy::PolicyText text;
  text.mode = mode;
  text.allow.push_back(policy::rule_text("127.0.0.0/8"));
  return text;
}

void flow_in_mode(benchmark::State& state, policy::Mode which) {
  World world(mode(which));
  const LoopbackSocket server(SOCK_DGRAM);
  for (auto _ : state) world.one_datagram_flow(server.port());
}
BENCHMARK_CAPTURE(flow_in_mode, broker, policy::Mode::broker);
BENCHMARK_CAPTURE(flow_in_mode, off, policy::Mode::off);

// A TCP connection whose name cannot matter: judged at its SYN and dialled. Beside mode off it shows what judging adds;
// flow_looked_at below, what a look at the first bytes adds.
void stream_in_mode(benchmark::State& state, policy::Mode which) {
  World world(mode(which));
  const LoopbackSocket server(SOCK_STREAM);
  for (auto _ : state) world.one_stream_flow(server);
}
BENCHMARK_CAPTURE(stream_in_mode, broker, policy::Mode::broker);
BENCHMARK_CAPTURE(stream_in_mode, off, policy::Mode::off);

void flow_looked_at(benchmark::State& state) {
  policy::PolicyText text = mode(policy::Mode::broker);
  text.deny.push_back(policy::rule_text(".evil.example"));
  text.allow.push_back(policy::rule_text("127.0.0.1"));
  World world(text);
  const LoopbackSocket server(SOCK_STREAM);
  constexpr std::string_view kWords = "SSH-2.0-x\r\n";
  const ByteView words(reinterpret_cast<const std::uint8_t*>(kWords.data()), kWords.size());
  for (auto _ : state) world.one_looked_at_flow(server, words);
}
BENCHMARK(flow_looked_at);

// On the heap, mapped blocks too. (Resident pages say nothing where the heap has free ones from before.)
std::size_t heap_bytes() {
  const struct mallinfo2 heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

// What flows weigh that are open and say nothing; the descriptors are the make-believe netd's.
void idle_flows(benchmark::State& state) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const LoopbackSocket server(SOCK_DGRAM);
  for (auto _ : state) {
    World world(mode(policy::Mode::broker));
    std::vector<Fd> kept;
    kept.reserve(static_cast<std::size_t>(state.range(0)));
    const std::size_t before = heap_bytes();
    for (std::int64_t i = 0; i < state.range(0); ++i) kept.push_back(world.one_kept_flow(server.port()));
    state.counters["KiB"] = static_cast<double>(heap_bytes() - before) / 1024;
  }
}
BENCHMARK(idle_flows)->Arg(10'000)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace microagent::mediator

BENCHMARK_MAIN();

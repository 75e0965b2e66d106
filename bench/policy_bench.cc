// What a decision costs, and that its cost does not depend on how many rules there are: each figure at 1, 1,000 and
// 100,000 rules. Run: ninja -C build policy_bench && build/bench/policy_bench

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>

#include <random>

#include "base/check.h"
#include "dns/forwarder.h"
#include "policy/decision.h"

namespace microagent {
namespace {

using policy::Facts;
using policy::Policy;
using policy::PolicyText;

std::string name_of(std::int64_t i) { return fmt::format("host{}.zone{}.example{}.com", i, i % 977, i % 31); }

// A tenth each: deny names, suffixes, wildcards, prefixes of several lengths; the rest are names that are allowed.
PolicyText text_of(std::int64_t rules) {
  PolicyText text;
  text.lock_allowlist = true;
  for (std::int64_t i = 0; i < rules; ++i) {
    switch (i % 10) {
      case 0: text.deny.push_back(policy::rule_text("denied-" + name_of(i), "bench")); break;
      case 1: text.allow.push_back(policy::rule_text("." + name_of(i), "bench")); break;
      case 2: text.allow.push_back(policy::rule_text("*." + name_of(i), "bench")); break;
      case 3: {
        const std::string cidr = fmt::format("{}.{}.{}.0/{}", 20 + i % 60, i / 256 % 256, i % 256, 24);
        text.allow.push_back(policy::rule_text(cidr, "bench"));
        break;
      }
      default: text.allow.push_back(policy::rule_text(name_of(i) + ":443", "bench"));
    }
  }
  return text;
}

Policy policy_of(std::int64_t rules) {
  auto policy = Policy::compile(text_of(rules));
  MICROAGENT_CHECK(policy);
  return std::move(*policy);
}

Facts flow_to(std::string name) {
  Facts facts;
  facts.destination = policy::Address::ipv4({203, 0, 113, 9});
  facts.port = 443;
  facts.bound_names = {std::move(name)};
  return facts;
}

void decide_at_the_syn(benchmark::State& state) {
  const Policy policy = policy_of(state.range(0));
  const Facts facts = flow_to(name_of(5));
  for (auto _ : state) benchmark::DoNotOptimize(policy::decide(policy, {}, facts));
}
BENCHMARK(decide_at_the_syn)->Arg(1)->Arg(1'000)->Arg(100'000);

void decide_by_name(benchmark::State& state) {
  const Policy policy = policy_of(state.range(0));
  Facts facts = flow_to(name_of(5));
  facts.content = policy::Content::tls;
  facts.name = name_of(5);
  for (auto _ : state) benchmark::DoNotOptimize(policy::decide(policy, {}, facts));
}
BENCHMARK(decide_by_name)->Arg(1)->Arg(1'000)->Arg(100'000);

// Nothing matches: every list and every suffix is asked.
void decide_unlisted(benchmark::State& state) {
  const Policy policy = policy_of(state.range(0));
  const Facts facts = flow_to("a.b.c.d.e.unlisted.example.org");
  for (auto _ : state) benchmark::DoNotOptimize(policy::decide(policy, {}, facts));
}
BENCHMARK(decide_unlisted)->Arg(1)->Arg(1'000)->Arg(100'000);

void decide_lookup(benchmark::State& state) {
  const Policy policy = policy_of(state.range(0));
  const std::string name = name_of(5);
  for (auto _ : state) benchmark::DoNotOptimize(policy::decide_lookup(policy, name));
}
BENCHMARK(decide_lookup)->Arg(1)->Arg(1'000)->Arg(100'000);

// On the heap, mapped blocks too. (Resident pages say nothing where the heap has free ones from before.)
std::size_t heap_bytes() {
  const struct mallinfo2 heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

// How long a live change takes, and what the rules weigh.
void compile(benchmark::State& state) {
  const PolicyText text = text_of(state.range(0));
  const std::size_t before = heap_bytes();
  const auto kept = Policy::compile(text);
  MICROAGENT_CHECK(kept);
  state.counters["KiB"] = static_cast<double>(heap_bytes() - before) / 1024;
  for (auto _ : state) benchmark::DoNotOptimize(Policy::compile(text));
}
BENCHMARK(compile)->Arg(1'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

void inside(benchmark::State& state) {
  const policy::Address address = policy::Address::ipv4({203, 0, 113, 9});
  for (auto _ : state) benchmark::DoNotOptimize(policy::inside(address, {}));
}
BENCHMARK(inside);

// A whole answer from the cache, its names bound again, among 10,000 others.
void dns_from_cache(benchmark::State& state) {
  const dns::Time now{};
  dns::Forwarder forwarder;
  std::vector<dns::Query> queries;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    dns::Query query = dns::make_query(name_of(i), dns::kTypeA);
    dns::Lookup lookup(query, dns::Transport::udp, {dns::Resolver{}}, [] { return std::uint16_t{7}; });
    lookup.next();
    const dns::Bytes address{203, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    query.id = 7;
    MICROAGENT_CHECK(lookup.on_answer(dns::encode_addresses(query, std::vector<dns::Bytes>{address}, 3600)) ==
                     dns::Lookup::Outcome::settled);
    forwarder.conclude(lookup, now);
    queries.push_back(std::move(query));
  }
  std::mt19937 random(1);
  for (auto _ : state) {
    const dns::Query& query = queries[random() % queries.size()];
    const auto parsed = dns::parse_query(query.bytes);
    benchmark::DoNotOptimize(forwarder.from_cache(*parsed.query, dns::Transport::udp, now));
  }
}
BENCHMARK(dns_from_cache)->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace microagent

BENCHMARK_MAIN();

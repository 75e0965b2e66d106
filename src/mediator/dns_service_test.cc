#include "mediator/dns_service.h"

#include <set>

#include "dns/test_messages.h"
#include "mediator/dns_conversation.h"
#include "mediator/test_directory.h"
#include "mediator/test_loop.h"

namespace microagent::mediator {
namespace {

using dns::TestAnswer;
using dns::TestMessage;
using dns::Transport;

unsigned id_of(const Bytes& message) { return static_cast<unsigned>(message[0] << 8 | message[1]); }

Bytes framed(const Bytes& message) {
  Bytes all;
  dns::put16(all, static_cast<unsigned>(message.size()));
  all.insert(all.end(), message.begin(), message.end());
  return all;
}

class DnsServiceTest : public testing::Test {
 protected:
  Fd guest(Transport transport, bool foreign = false) {
    return std::move(*service_.serve({.transport = transport, .audit_flow = recorder_.new_flow(), .foreign = foreign}));
  }

  void apply(policy::PolicyText text) { policy_.replace(*LivePolicy::make(std::move(text))); }

  // The answer to a guest's question, which the resolver gave.
  Bytes asked(const Fd& client, const TestMessage& question, TestAnswer answer) {
    put(client, question.encode());
    const auto [query, from] = next_query();
    answer.id = id_of(query);
    answer.name = question.name;
    answer.type = question.type;
    udp_.send_to(from, answer.encode());
    return next_from(client);
  }

  std::pair<Bytes, sockaddr_in> next_query() {
    std::optional<std::pair<Bytes, sockaddr_in>> query;
    EXPECT_TRUE(loop_.until([&] { return (query = udp_.datagram()).has_value(); }));
    return std::move(*query);
  }

  Bytes next_from(const Fd& fd) {
    std::optional<Bytes> message;
    EXPECT_TRUE(loop_.until([&] { return (message = arrived(fd)).has_value(); }));
    return message.value_or(Bytes());
  }

  Fd next_connection() {
    Fd connection;
    EXPECT_TRUE(loop_.until([&] {
      connection = tcp_.accept();
      return static_cast<bool>(connection);
    }));
    return connection;
  }

  TestLoop loop_;
  TestDirectory directory_;
  Recorder recorder_{std::move(*audit::Writer::open(directory_.audit_file(), "web"))};
  LivePolicy policy_ = *LivePolicy::make({});
  LoopbackSocket udp_ = LoopbackSocket::datagrams_and_stream();
  LoopbackSocket tcp_{SOCK_STREAM, udp_.port()};
  DnsService service_{loop_.io.get_executor(), dns::ResolverList({{kLoopback, udp_.port()}}), recorder_, policy_,
                      policy::parse_address("192.168.64.1")};
};

TEST_F(DnsServiceTest, ForwardsADatagramAndRecordsIt) {
  const Fd client = guest(Transport::udp);
  put(client, TestMessage{.id = 7}.encode());
  const auto [query, from] = next_query();
  EXPECT_EQ(query, (TestMessage{.id = id_of(query)}.encode()));
  udp_.send_to(from, TestMessage{.id = id_of(query), .flags = 0x8180, .answers = 1}.encode());
  EXPECT_EQ(next_from(client), (TestMessage{.id = 7, .flags = 0x8180, .answers = 1}.encode()));

  const auto records = directory_.records();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0]["event"], "egress_dns_allow");
  EXPECT_EQ(records[0]["qname"], "www.example.com");
  EXPECT_EQ(records[0]["qtype"], "A");
  EXPECT_EQ(records[0]["id"], 7);
  EXPECT_EQ(records[0]["resolver"], "127.0.0.1:" + std::to_string(udp_.port()));
}

TEST_F(DnsServiceTest, AnswersABurstInTheOrderOfTheAnswers) {
  const Fd client = guest(Transport::udp);
  put(client, TestMessage{.id = 1, .type = 1}.encode());
  put(client, TestMessage{.id = 2, .type = 28}.encode());
  const auto [first, first_from] = next_query();
  const auto [second, second_from] = next_query();
  EXPECT_NE(first_from.sin_port, second_from.sin_port);  // a port of its own for each
  udp_.send_to(second_from, TestMessage{.id = id_of(second), .flags = 0x8180, .type = 28}.encode());
  EXPECT_EQ(id_of(next_from(client)), 2U);
  udp_.send_to(first_from, TestMessage{.id = id_of(first), .flags = 0x8180}.encode());
  EXPECT_EQ(id_of(next_from(client)), 1U);
}

TEST_F(DnsServiceTest, WaitsOnThroughForgeries) {
  const Fd client = guest(Transport::udp);
  put(client, TestMessage{.id = 7}.encode());
  const auto [query, from] = next_query();
  udp_.send_to(from, TestMessage{.id = id_of(query) ^ 1, .flags = 0x8180, .answers = 3}.encode());
  udp_.send_to(from, TestMessage{.id = id_of(query), .flags = 0x8180, .name = "evil.example", .answers = 3}.encode());
  udp_.send_to(from, TestMessage{.id = id_of(query), .flags = 0x8180, .answers = 1}.encode());
  EXPECT_EQ(next_from(client), (TestMessage{.id = 7, .flags = 0x8180, .answers = 1}.encode()));
}

TEST_F(DnsServiceTest, AsksOverTcpWhenTheAnswerWasTruncated) {
  const Fd client = guest(Transport::udp);
  put(client, TestMessage{.id = 7, .edns_size = 1232}.encode());
  const auto [query, from] = next_query();
  udp_.send_to(from, TestMessage{.id = id_of(query), .flags = 0x8380}.encode());
  const Fd connection = next_connection();
  const Bytes again = next_from(connection);
  const Bytes answer =
      TestMessage{.id = static_cast<unsigned>(again[2] << 8 | again[3]), .flags = 0x8180, .answers = 50}.encode();
  put(connection, framed(answer));
  EXPECT_EQ(next_from(client), (TestMessage{.id = 7, .flags = 0x8180, .answers = 50}.encode()));
}

TEST_F(DnsServiceTest, ServesAStreamOfQueriesHoweverItIsCut) {
  const Fd client = guest(Transport::tcp);
  Bytes stream = framed(TestMessage{.id = 1}.encode());
  const Bytes second = framed(TestMessage{.id = 2}.encode());
  stream.insert(stream.end(), second.begin(), second.end());
  put(client, Bytes(stream.begin(), stream.begin() + 20));
  put(client, Bytes(stream.begin() + 20, stream.end()));
  for (int i = 0; i < 2; ++i) {
    const Fd connection = next_connection();
    const Bytes query = next_from(connection);
    const unsigned id = static_cast<unsigned>(query[2] << 8 | query[3]);
    put(connection, framed(TestMessage{.id = id, .flags = 0x8180, .answers = 100}.encode()));
    const Bytes answer = next_from(client);
    EXPECT_EQ(answer.size(), framed(TestMessage{.answers = 100}.encode()).size());
  }
}

TEST_F(DnsServiceTest, StillAnswersAfterTheGuestsHalfClose) {
  const Fd client = guest(Transport::tcp);
  put(client, framed(TestMessage{.id = 9}.encode()));
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  const Fd connection = next_connection();
  const Bytes query = next_from(connection);
  put(connection, framed(TestMessage{.id = static_cast<unsigned>(query[2] << 8 | query[3]), .flags = 0x8180}.encode()));
  EXPECT_EQ(next_from(client), framed(TestMessage{.id = 9, .flags = 0x8180}.encode()));
  EXPECT_TRUE(next_from(client).empty());  // and then closes its side too
}

TEST_F(DnsServiceTest, SaysServfailWhenNobodyAnswers) {
  const LoopbackSocket closed(SOCK_DGRAM);
  const std::uint16_t port = closed.port();
  const_cast<Fd&>(closed.fd()).reset();
  DnsService service(loop_.io.get_executor(), dns::ResolverList({{kLoopback, port}}), recorder_, policy_, {});
  const Fd client = std::move(*service.serve({.transport = Transport::udp}));
  put(client, TestMessage{.id = 7}.encode());
  EXPECT_EQ(next_from(client), (TestMessage{.id = 7, .flags = 0x8182}.encode()));
  EXPECT_EQ(directory_.records().back()["event"], "egress_dns_error");
}

TEST_F(DnsServiceTest, TellsTheGuestWhatItMayNotAsk) {
  const Fd client = guest(Transport::udp);
  put(client, TestMessage{.id = 7, .flags = 0x2800}.encode());
  EXPECT_EQ(next_from(client)[3] & 15, 4);
  put(client, TestMessage{.id = 7, .type = 252}.encode());
  EXPECT_EQ(next_from(client)[3] & 15, 5);
  put(client, Bytes(4096, 0));
  EXPECT_EQ(next_from(client)[3] & 15, 1);
  EXPECT_EQ(directory_.records().size(), 3U);
  EXPECT_FALSE(udp_.datagram());
}

TEST_F(DnsServiceTest, BoundsAFlowsQueriesAndGoesOnWhenOneIsAnswered) {
  const Fd client = guest(Transport::udp);
  std::vector<std::pair<Bytes, sockaddr_in>> queries;
  for (unsigned i = 0; i < kMaxQueriesPerFlow; ++i) {
    put(client, TestMessage{.id = i}.encode());
    queries.push_back(next_query());
  }
  put(client, TestMessage{.id = kMaxQueriesPerFlow}.encode());
  loop_.io.restart();
  loop_.io.run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(udp_.datagram());
  udp_.send_to(queries[0].second, TestMessage{.id = id_of(queries[0].first), .flags = 0x8180}.encode());
  next_query();
}

TEST_F(DnsServiceTest, AnswersFromItsCacheAndBindsTheNames) {
  const Fd client = guest(Transport::udp);
  asked(client, {.id = 1},
        {.answers = {dns::test_cname("www.example.com", "cdn.example"), dns::test_a("cdn.example", 9)}});
  const auto address = *policy::parse_address("203.0.113.9");
  const auto names = service_.names_of(address);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()),
            (std::set<std::string>{"cdn.example", "www.example.com"}));

  put(client, TestMessage{.id = 2, .name = "WWW.example.com"}.encode());
  const Bytes cached = next_from(client);
  EXPECT_EQ(id_of(cached), 2U);
  EXPECT_EQ(cached[7], 2);  // both records
  put(client, TestMessage{.id = 3}.encode());
  next_from(client);
  EXPECT_FALSE(udp_.datagram());
  const auto records = directory_.records();
  ASSERT_EQ(records.size(), 2U);  // the second cached answer is only counted
  EXPECT_EQ(records[1]["resolver"], "cache");
  recorder_.write_all_counts();
  EXPECT_EQ(directory_.records().back()["count"], 1);
}

TEST_F(DnsServiceTest, RefusesWhatIsNotListedWithoutAsking) {
  policy::PolicyText locked;
  locked.lock_allowlist = true;
  locked.allow.push_back(policy::rule_text("good.example"));
  apply(locked);
  const Fd client = guest(Transport::udp, true);
  put(client, TestMessage{.id = 7, .name = "evil.example", .edns_size = 1232}.encode());
  const Bytes refused = next_from(client);
  EXPECT_EQ(refused[3] & 15, 5);
  const auto record = directory_.records().back();
  EXPECT_EQ(record["event"], "egress_dns_deny");
  EXPECT_EQ(record["qname"], "evil.example");
  EXPECT_EQ(record["reason"], "not-listed");
  EXPECT_EQ(record["signal"], "foreign-resolver");
  const std::string decision = record["decision"];
  EXPECT_NE(std::string(refused.begin(), refused.end()).find(decision), std::string::npos);
  EXPECT_EQ(recorder_.denials().entries().front().denial.id, decision);
  EXPECT_FALSE(udp_.datagram());

  asked(client, {.id = 8, .name = "good.example"}, {.answers = {dns::test_a("good.example", 1)}});
}

TEST_F(DnsServiceTest, ObservesWhatItWouldRefuse) {
  policy::PolicyText observing;
  observing.observe = true;
  apply(observing);
  const Fd client = guest(Transport::udp);
  asked(client, {.id = 8}, {.answers = {dns::test_a("www.example.com", 1)}});
  EXPECT_EQ(directory_.records().back()["wouldDeny"], true);
}

TEST_F(DnsServiceTest, AnswersForThePolicysPageItself) {
  policy::PolicyText locked;
  locked.lock_allowlist = true;
  apply(locked);
  const Fd client = guest(Transport::udp);
  put(client, TestMessage{.id = 7, .name = "Policy.Microagent"}.encode());
  const Bytes answer = next_from(client);
  EXPECT_EQ(answer[7], 1);
  EXPECT_EQ(Bytes(answer.end() - 4, answer.end()), (Bytes{192, 168, 64, 1}));
  put(client, TestMessage{.id = 8, .name = "policy.microagent", .type = 28}.encode());
  const Bytes none = next_from(client);
  EXPECT_EQ(none[3] & 15, 0);
  EXPECT_EQ(none[7], 0);
  EXPECT_FALSE(udp_.datagram());
}

TEST_F(DnsServiceTest, FindsOutWhetherANameHasAnAddress) {
  const auto address = *policy::parse_address("203.0.113.4");
  std::optional<bool> has;
  const auto ask = [&](std::string name) {
    has.reset();
    spawn(loop_.io.get_executor(),
          [](DnsService& service, std::string asked_for, policy::Address wanted,
             std::optional<bool>& answer) -> asio::awaitable<void> {
            answer = co_await service.resolves_to(std::move(asked_for), wanted);
          }(service_, std::move(name), address, has));
    const auto [query, from] = next_query();
    return std::pair{id_of(query), from};
  };
  const auto [id, from] = ask("a.example");
  udp_.send_to(from, TestAnswer{.id = id, .name = "a.example", .answers = {dns::test_a("a.example", 4)}}.encode());
  ASSERT_TRUE(loop_.until([&] { return has.has_value(); }));
  EXPECT_TRUE(*has);
  const auto [other_id, other] = ask("b.example");
  udp_.send_to(other,
               TestAnswer{.id = other_id, .name = "b.example", .answers = {dns::test_a("b.example", 5)}}.encode());
  ASSERT_TRUE(loop_.until([&] { return has.has_value(); }));
  EXPECT_FALSE(*has);
}

TEST_F(DnsServiceTest, LetsLookupsWaitTheirTurn) {
  std::vector<Fd> clients;
  std::vector<std::pair<Bytes, sockaddr_in>> queries;
  for (unsigned i = 0; i < kMaxLookups; ++i) {
    if (i % kMaxQueriesPerFlow == 0) clients.push_back(guest(Transport::udp));
    const std::string name = "n" + std::to_string(i) + ".example";
    put(clients.back(), TestMessage{.id = i, .name = name}.encode());
    queries.push_back(next_query());
  }
  const Fd late = guest(Transport::udp);
  put(late, TestMessage{.id = 7, .name = "late.example"}.encode());
  loop_.io.restart();
  loop_.io.run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(udp_.datagram());
  udp_.send_to(queries[3].second,
               TestMessage{.id = id_of(queries[3].first), .flags = 0x8180, .name = "n3.example"}.encode());
  const auto [query, from] = next_query();
  udp_.send_to(from, TestMessage{.id = id_of(query), .flags = 0x8180, .name = "late.example"}.encode());
  EXPECT_EQ(id_of(next_from(late)), 7U);
}

TEST_F(DnsServiceTest, AsksNothingThatItCannotRecord) {
  const Fd client = guest(Transport::udp);
  const FullDisk full(directory_.audit_file());
  put(client, TestMessage{.id = 7}.encode());
  EXPECT_EQ(next_from(client), (TestMessage{.id = 7, .flags = 0x8182}.encode()));
  EXPECT_FALSE(udp_.datagram());
}

}  // namespace
}  // namespace microagent::mediator

#include "tls/client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tls/alert.h"
#include "tls/authority.h"
#include "tls/server.h"
#include "tls/system_roots.h"
#include "tls/testing/peers.h"

namespace microagent::tls {
namespace {

using ::testing::HasSubstr;
using testing::Identity;
using testing::kDay;
using testing::Manners;
using testing::Pair;

// Trusts one root, and nothing that the machine of the test trusts.
class Client : public ::testing::TestWithParam<int> {
 protected:
  Client() {
    std::ofstream(file_) << testing::make_root("the system's").pem();
    client_.emplace(ClientContext::make({file_, {root_.pem()}}).value());
  }
  ~Client() override { std::filesystem::remove(file_); }

  struct Meeting {
    testing::Handshakes hands;
    std::optional<Unverified> unverified;
    bool resumed = false, asked = false;
    std::string alpn;
  };

  Meeting meet(SSL_CTX* server_context, const Server& server) {
    Pair pair;
    Connection far = testing::serve(server_context, pair.far.get());
    Connection near = client_->connect(pair.near.get(), server).value();
    Meeting met{testing::shake_hands(near, far), near.unverified(), false, near.asked_for_certificate(), {}};
    if (!met.hands.done()) return met;
    EXPECT_EQ(testing::carry(far, near, "hello").text, "hello");  // and the tickets before it
    EXPECT_TRUE(near.close_notify());
    EXPECT_TRUE(far.close_notify());
    EXPECT_EQ(near.resumed(), far.resumed());
    met.resumed = near.resumed();
    met.alpn = near.alpn();
    return met;
  }

  Manners manners(std::vector<const Identity*> chain = {}) const {
    return {.most = GetParam(), .chain = std::move(chain)};
  }

  // Why a server with this certificate is not believed, or "".
  std::string fault(const Identity& identity, const std::string& name, Manners how) {
    const SslContextPtr context = testing::make_server(identity, how);
    const Meeting met = meet(context.get(), {name, "192.0.2.1:443", {}});
    EXPECT_EQ(met.hands.client.has_value(), !met.unverified);
    if (!met.unverified) return "";
    EXPECT_EQ(met.hands.client.error().stop, Stop::failed);
    EXPECT_EQ(met.hands.client.error().text, met.unverified->text);
    said_ = met.unverified->text;
    return std::string(to_string(met.unverified->fault));
  }
  std::string fault(const Identity& identity, const std::string& name = "a.example") {
    return fault(identity, name, manners());
  }

  std::filesystem::path file_ = std::filesystem::temp_directory_path() / fmt::format("tls_test.{}.pem", getpid());
  Identity root_ = testing::make_root("our root");
  std::optional<ClientContext> client_;
  std::string said_;
};

INSTANTIATE_TEST_SUITE_P(Versions, Client, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& info) { return info.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Client, BelievesNamesAndAddresses) {
  const Identity server = testing::make({.names = "DNS:a.example,DNS:*.b.example,IP:192.0.2.1,IP:2001:db8::1"}, &root_);
  for (const char* name : {"a.example", "x.b.example", "192.0.2.1", "2001:db8::1"}) {
    EXPECT_EQ(fault(server, name), "") << name;
  }
  for (const char* name : {"b.example", "x.y.b.example", "192.0.2.2", "test"}) {
    EXPECT_EQ(fault(server, name), "wrong-name") << name;
  }
  EXPECT_EQ(said_, "the certificate is for a.example, *.b.example, 192.0.2.1, 2001:db8::1");
}

TEST_P(Client, DoesNotBelieveWildcardsWithinALabel) {
  const Identity server = testing::make({.names = "DNS:w*.example"}, &root_);
  EXPECT_EQ(fault(server, "www.example"), "wrong-name");
}

TEST_P(Client, DoesNotTakeTheCommonNameForAName) {
  EXPECT_EQ(fault(testing::make({.common_name = "a.example", .names = ""}, &root_)), "wrong-name");
  EXPECT_EQ(said_, "the certificate is for no name");
}

TEST_P(Client, TellsNamesOfAServerWithManyShortly) {
  std::string names = "DNS:n0.example";
  for (int i = 1; i < 20; ++i) names += fmt::format(",DNS:n{}.example", i);
  EXPECT_EQ(fault(testing::make({.names = names}, &root_)), "wrong-name");
  EXPECT_THAT(said_, HasSubstr("n4.example and 15 more"));
}

TEST_P(Client, KnowsTheTime) {
  EXPECT_EQ(fault(testing::make({.begin = -9 * kDay, .end = -kDay}, &root_)), "expired");
  EXPECT_THAT(said_, HasSubstr("the certificate expired at 20"));
  EXPECT_EQ(fault(testing::make({.begin = kDay}, &root_)), "not-yet-valid");
}

TEST_P(Client, WantsAnIssuerThatItTrusts) {
  EXPECT_EQ(fault(testing::make({})), "self-signed");
  const Identity other = testing::make_root("another root");
  const Identity server = testing::make({}, &other);
  EXPECT_EQ(fault(server), "unknown-issuer");
  EXPECT_THAT(said_, HasSubstr("another root"));
  EXPECT_EQ(fault(server, "a.example", manners({&other})), "self-signed");
  EXPECT_THAT(said_, HasSubstr("another root"));
}

TEST_P(Client, FollowsAChainThatIsSent) {
  const Identity middle = testing::make_intermediate(root_);
  const Identity server = testing::make({}, &middle);
  EXPECT_EQ(fault(server, "a.example", manners({&middle})), "");
  EXPECT_EQ(fault(server), "unknown-issuer");
}

TEST_P(Client, TrustsAnIntermediateThatTheUserTrusts) {
  const Identity far_root = testing::make_root("far away"), middle = testing::make_intermediate(far_root);
  const Identity server = testing::make({}, &middle);
  EXPECT_EQ(fault(server), "unknown-issuer");
  client_.emplace(ClientContext::make({file_, {middle.pem()}}).value());
  EXPECT_EQ(fault(server), "");
}

TEST_P(Client, RefusesWeakSignatures) {
  const Identity middle =
      testing::make({.common_name = "weak", .names = "", .authority = true, .digest = EVP_sha1()}, &root_);
  EXPECT_EQ(fault(testing::make({}, &middle), "a.example", manners({&middle})), "too-weak");
}

TEST_P(Client, RefusesARevokedServer) {
  const Identity server = testing::make({}, &root_);
  const auto with = [&](const std::vector<unsigned char>& staple) {
    Manners how = manners();
    how.staple = staple;
    return fault(server, "a.example", how);
  };
  EXPECT_EQ(with(testing::make_staple(server, root_, root_, true)), "revoked");
  EXPECT_EQ(with(testing::make_staple(server, root_, root_, false)), "");
  const Identity stranger = testing::make_root("stranger"), another = testing::make({}, &root_);
  EXPECT_EQ(with(testing::make_staple(server, root_, stranger, true)), "") << "no one's word";
  EXPECT_EQ(with(testing::make_staple(another, root_, root_, true)), "") << "about another certificate";
  EXPECT_EQ(with({1, 2, 3}), "");
  const Identity speaker = testing::make({.common_name = "speaker", .names = "", .purposes = "OCSPSigning"}, &root_);
  EXPECT_EQ(with(testing::make_staple(server, root_, speaker, true)), "revoked") << "who answers for the issuer";
  const Identity silent = testing::make({.common_name = "silent", .names = ""}, &root_);
  EXPECT_EQ(with(testing::make_staple(server, root_, silent, true)), "") << "another server may not";
}

TEST_P(Client, ResumesASessionAtTheSamePlaceOnly) {
  const Identity identity = testing::make({.names = "DNS:a.example,DNS:b.example"}, &root_);
  const SslContextPtr server = testing::make_server(identity, manners());
  EXPECT_FALSE(meet(server.get(), {"a.example", "192.0.2.1:443", {"h2"}}).resumed);
  EXPECT_FALSE(meet(server.get(), {"b.example", "192.0.2.1:443", {"h2"}}).resumed);
  EXPECT_FALSE(meet(server.get(), {"a.example", "192.0.2.2:443", {"h2"}}).resumed);
  EXPECT_FALSE(meet(server.get(), {"a.example", "192.0.2.1:443", {}}).resumed);
  EXPECT_TRUE(meet(server.get(), {"a.example", "192.0.2.1:443", {"h2"}}).resumed);
  EXPECT_TRUE(meet(server.get(), {"a.example", "192.0.2.1:443", {"h2"}}).resumed);
}

TEST_P(Client, ResumesWithConnectionsThatComeTogether) {
  const Identity identity = testing::make({}, &root_);
  const SslContextPtr server = testing::make_server(identity, manners());
  const auto resumed_of = [&](std::size_t count) {
    std::vector<Pair> pairs(count);
    std::vector<Connection> near;
    for (Pair& pair : pairs) {
      near.push_back(client_->connect(pair.near.get(), {"a.example", "192.0.2.1:443", {}}).value());
    }
    std::size_t resumed = 0;
    for (std::size_t at = 0; at < count; ++at) {
      Connection far = testing::serve(server.get(), pairs[at].far.get());
      EXPECT_TRUE(testing::shake_hands(near[at], far).done());
      EXPECT_EQ(testing::carry(far, near[at], "hello").text, "hello");  // and the tickets before it
      EXPECT_TRUE(near[at].close_notify());
      EXPECT_TRUE(far.close_notify());
      resumed += near[at].resumed() ? 1 : 0;
    }
    return resumed;
  };
  EXPECT_EQ(resumed_of(4), 0u);
  EXPECT_EQ(resumed_of(4), 4u);
}

TEST_P(Client, NoticesThatACertificateIsWanted) {
  const Identity identity = testing::make({}, &root_);
  Manners how = manners();
  const SslContextPtr plain = testing::make_server(identity, how);
  how.wants_certificate = true;
  const SslContextPtr curious = testing::make_server(identity, how);
  EXPECT_FALSE(meet(plain.get(), {"a.example", "1", {}}).asked);
  for (int times = 0; times < 2; ++times) EXPECT_TRUE(meet(curious.get(), {"a.example", "2", {}}).asked) << times;
}

TEST_P(Client, RefusesServersOfOldVersions) {
  const Identity identity = testing::make({}, &root_);
  const SslContextPtr old = testing::make_server(identity, {.least = TLS1_VERSION, .most = TLS1_1_VERSION});
  const Meeting met = meet(old.get(), {"a.example", "1", {}});
  EXPECT_FALSE(met.hands.client);
  EXPECT_FALSE(met.unverified);
}

TEST_P(Client, OffersTheProtocolsGiven) {
  Authority authority = Authority::make("upstream").value();
  ServerContext context = ServerContext::make().value();
  client_.emplace(ClientContext::make({file_, {authority.certificate_pem()}}).value());
  const auto chosen = [&](const std::vector<std::string>& offered, const std::string& wanted) -> std::string {
    Pair pair;
    Connection far = context.accept(pair.far.get(), authority.issue("a.example").value(), wanted).value();
    Connection near = client_->connect(pair.near.get(), {"a.example", "1", offered}).value();
    return testing::shake_hands(near, far).done() ? std::string(near.alpn()) : "refused";
  };
  EXPECT_EQ(chosen({"h2", "http/1.1"}, "http/1.1"), "http/1.1");
  EXPECT_EQ(chosen({"h2", "http/1.1"}, ""), "");
  EXPECT_EQ(chosen({}, "h2"), "");
  EXPECT_EQ(chosen({"acme-tls/1"}, "h2"), "refused");
}

TEST_P(Client, IsNotMadeForNoName) {
  Pair pair;
  EXPECT_FALSE(client_->connect(pair.near.get(), {"", "1", {}}));
  EXPECT_FALSE(client_->connect(pair.near.get(), {"a.example", "1", {""}}));
  EXPECT_FALSE(client_->connect(pair.near.get(), {"a.example", "1", {std::string(256, 'x')}}));
}

TEST_P(Client, SaysWhatOfItsTrustItCannotRead) {
  const auto message = [&](const Trust& trust) { return ClientContext::make(trust).error().message; };
  EXPECT_THAT(message({"/nowhere/ca.pem", {}}), HasSubstr("/nowhere/ca.pem"));
  EXPECT_THAT(message({file_, {"nothing"}}), HasSubstr("no certificate"));
  EXPECT_EQ(check_certificates(root_.pem() + root_.pem()).value(), 2u);
  EXPECT_TRUE(ClientContext::make({file_, {root_.pem(), root_.pem()}})) << "twice is no harm";
}

TEST_P(Client, TellsACutFromTheEnd) {
  const SslContextPtr context = testing::make_server(testing::make({}, &root_), manners());
  Pair pair;
  Connection far = testing::serve(context.get(), pair.far.get());
  Connection near = client_->connect(pair.near.get(), {"a.example", "1", {}}).value();
  EXPECT_EQ(near.handshake().error().stop, Stop::want_read);
  shutdown(pair.far.get(), SHUT_WR);
  EXPECT_EQ(near.handshake().error().stop, Stop::cut_off);
}

TEST(SystemRoots, AreWhatTheHostTrustsAndNoMoreThanFits) {
  const std::string file = ::testing::TempDir() + "roots.pem", root = testing::make_root("the system's").pem();
  std::ofstream(file) << "# a comment\n" << root;
  EXPECT_EQ(system_roots(root.size(), file), root);
  EXPECT_EQ(system_roots(root.size() - 1, file), "");
  std::filesystem::remove(file);
  EXPECT_EQ(system_roots(root.size(), file), "");
}

}  // namespace
}  // namespace microagent::tls

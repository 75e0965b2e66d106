#include "tls/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <array>
#include <csignal>

#include "tls/alert.h"
#include "tls/connection_state.h"
#include "tls/testing/peers.h"

namespace microagent::tls {
namespace {

using ::testing::HasSubstr;
using testing::Pair;

class Server : public ::testing::TestWithParam<int> {
 protected:
  Authority authority_ = Authority::make("w1").value();
  ServerContext server_ = ServerContext::make().value();
  SslContextPtr any_client_ = testing::make_client(TLS1_2_VERSION, GetParam());
};

INSTANTIATE_TEST_SUITE_P(Versions, Server, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& info) { return info.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Server, ShowsTheLeafAndTheProtocol) {
  Pair pair;
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "h2").value();
  Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example", {"http/1.1", "h2"});
  ASSERT_TRUE(testing::shake_hands(client, server).done());
  EXPECT_EQ(client.alpn(), "h2");
  EXPECT_EQ(server.alpn(), "h2");
  EXPECT_EQ(server.version(), GetParam() == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
  const CertificatePtr leaf(PEM_read_bio_X509(reading(authority_.issue("a.example").value().certificate_pem()).get(),
                                              nullptr, nullptr, nullptr));
  EXPECT_EQ(client.peer_fingerprint(), fingerprint_of(leaf.get()));
  EXPECT_EQ(testing::carry(client, server, "hello").text, "hello");
  EXPECT_EQ(testing::carry(server, client, "and you").text, "and you");
}

TEST_P(Server, ChoosesNoProtocolWhereNoneIsWanted) {
  Pair pair;
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "").value();
  Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example", {"http/1.1", "h2"});
  ASSERT_TRUE(testing::shake_hands(client, server).done());
  EXPECT_EQ(client.alpn(), "");
}

TEST_P(Server, RefusesAClientThatDoesNotOfferTheProtocol) {
  Pair pair;
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "h2").value();
  Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example", {"http/1.1", "h2c"});
  const testing::Handshakes hands = testing::shake_hands(client, server);
  ASSERT_FALSE(hands.client);
  EXPECT_EQ(hands.client.error().alert, 120) << "no_application_protocol";
}

class Resumption : public Server {
 protected:
  // Whether a client that was at `first` before resumes at the second.
  bool resumes(const std::string& first, const std::string& first_alpn, const std::string& second,
               const std::string& second_alpn) {
    SessionPtr session;
    once(first, first_alpn, session);
    EXPECT_TRUE(session);
    return once(second, second_alpn, session);
  }

 private:
  bool once(const std::string& name, const std::string& alpn, SessionPtr& session) {
    Pair pair;
    Connection server = server_.accept(pair.far.get(), authority_.issue(name).value(), alpn).value();
    auto state = open(any_client_.get(), pair.near.get()).value();
    SSL* const ssl = state->ssl.get();
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>("\2h2\10http/1.1"), 12);
    if (session) SSL_set_session(ssl, session.get());
    SSL_set_connect_state(ssl);
    Connection client(std::move(state));
    EXPECT_TRUE(testing::shake_hands(client, server).done());
    testing::poke(client);  // the tickets
    session.reset(SSL_get1_session(ssl));
    EXPECT_TRUE(client.close_notify());
    EXPECT_EQ(client.resumed(), server.resumed());
    return server.resumed();
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, Resumption, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& info) { return info.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Resumption, HappensUnderTheSameNameAndProtocol) {
  EXPECT_TRUE(resumes("a.example", "h2", "a.example", "h2"));
  EXPECT_TRUE(resumes("192.0.2.1", "", "192.0.2.1", ""));
}

TEST_P(Resumption, DoesNotHappenUnderAnother) {
  EXPECT_FALSE(resumes("a.example", "h2", "b.example", "h2"));
  EXPECT_FALSE(resumes("a.example", "h2", "a.example", "http/1.1"));
  EXPECT_FALSE(resumes("a.example", "", "a.example", "h2"));
}

TEST_P(Server, CarriesMuchThroughSmallBuffers) {
  Pair pair;
  const int small = 4096;
  setsockopt(pair.near.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
  setsockopt(pair.far.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "").value();
  Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example");
  ASSERT_TRUE(testing::shake_hands(client, server).done());
  std::string much(4 << 20, '\0');
  for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<char>(i * i >> 8);
  EXPECT_TRUE(testing::carry(client, server, much).text == much);
  EXPECT_TRUE(testing::carry(server, client, much).text == much);
}

// One segment brings the last bytes and the end; the socket stays open, and has nothing more.
TEST_P(Server, RemembersAnEndThatCameWithTheLastBytes) {
  Pair pair;
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "").value();
  Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example");
  ASSERT_TRUE(testing::shake_hands(client, server).done());
  ASSERT_TRUE(client.write(text_bytes("part")));
  ASSERT_TRUE(client.close_notify());
  std::array<std::uint8_t, 64> into{};
  // The first may tell what the last read of the handshake has seen.
  EXPECT_TRUE(server.peek() || server.peek()) << "which takes nothing";
  EXPECT_EQ(server.read(into).value_or(0), 4u);
  for (int i = 0; i < 3; ++i) {
    const auto more = server.read(into);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().stop, Stop::ended);
  }
}

TEST_P(Server, TellsTheEndFromACut) {
  for (const bool clean : {true, false}) {
    Pair pair;
    Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "").value();
    Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example");
    ASSERT_TRUE(testing::shake_hands(client, server).done());
    ASSERT_EQ(testing::carry(client, server, "part").text, "part");
    if (clean) ASSERT_TRUE(client.close_notify());
    shutdown(pair.near.get(), SHUT_WR);
    const auto end = testing::poke(server);
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().stop, clean ? Stop::ended : Stop::cut_off) << end.error().text;
    EXPECT_EQ(testing::poke(server).error().stop, end.error().stop) << "it stays so";
    if (clean) EXPECT_EQ(testing::carry(server, client, "the answer").text, "the answer") << "half closed";
  }
}

TEST_P(Server, SurvivesAWriteToAPeerThatIsGone) {
  Pair pair;
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "").value();
  Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example");
  ASSERT_TRUE(testing::shake_hands(client, server).done());
  ASSERT_NE(signal(SIGPIPE, SIG_DFL), SIG_ERR);
  pair.near.reset();
  const std::array<std::uint8_t, 3> bytes{1, 2, 3};
  const auto wrote = server.write(bytes);
  ASSERT_FALSE(wrote);
  EXPECT_EQ(wrote.error().stop, Stop::failed);
  EXPECT_THAT(wrote.error().text, HasSubstr("pipe"));
}

// Who refuses a long request answers and hangs up while it is still on its way.
TEST_P(Server, ReadsWhatAPeerSaidBeforeItWasGone) {
  Pair pair;
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "").value();
  Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example");
  ASSERT_TRUE(testing::shake_hands(client, server).done());
  const std::string words = "no", request(64 * 1024, 'x');
  ASSERT_TRUE(client.write(ByteView(reinterpret_cast<const std::uint8_t*>(words.data()), words.size())));
  pair.near.reset();
  const ByteView more(reinterpret_cast<const std::uint8_t*>(request.data()), request.size());
  ASSERT_EQ(server.write(more).error().stop, Stop::failed);
  std::array<std::uint8_t, 16> heard{};
  auto got = server.read(heard);
  if (!got) got = server.read(heard);  // the first may answer by what the handshake has seen of the socket
  ASSERT_EQ(got.value_or(0), words.size());
  EXPECT_EQ(heard[0], 'n');
  EXPECT_FALSE(server.read(heard).has_value());
  EXPECT_EQ(server.write(more).error().stop, Stop::failed);
  EXPECT_FALSE(server.close_notify().has_value());
}

TEST_P(Server, TakesAHandshakeByteByByte) {
  Pair to_client, to_server;
  Connection server = server_.accept(to_server.far.get(), authority_.issue("a.example").value(), "").value();
  Connection client = testing::call(any_client_.get(), to_client.far.get(), "a.example");
  // One byte either way, then both have a turn.
  const auto pass = [](const Fd& from, const Fd& to) {
    char byte = 0;
    if (recv(from.get(), &byte, 1, 0) == 1) ASSERT_EQ(send(to.get(), &byte, 1, 0), 1);
  };
  Outcome<void> client_done = client.handshake(), server_done = server.handshake();
  for (int i = 0; i < 20'000 && !(client_done && server_done); ++i) {
    pass(to_client.near, to_server.near);
    pass(to_server.near, to_client.near);
    if (!client_done) client_done = client.handshake();
    if (!server_done) server_done = server.handshake();
  }
  EXPECT_TRUE(client_done && server_done);
}

TEST_P(Server, FailsOnWhatIsNoTls) {
  Pair pair;
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "").value();
  const std::string words = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
  ASSERT_EQ(send(pair.near.get(), words.data(), words.size(), 0), static_cast<ssize_t>(words.size()));
  const auto hands = server.handshake();
  ASSERT_FALSE(hands);
  EXPECT_EQ(hands.error().stop, Stop::failed);
  EXPECT_THAT(hands.error().text, HasSubstr("http request"));
  EXPECT_FALSE(server.handshake());
}

TEST_P(Server, TellsWhenTheClientRefusesTheCertificate) {
  Pair pair;
  SSL_CTX_set_verify(any_client_.get(), SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 0; });
  Connection server = server_.accept(pair.far.get(), authority_.issue("a.example").value(), "").value();
  Connection client = testing::call(any_client_.get(), pair.near.get(), "a.example");
  const testing::Handshakes hands = testing::shake_hands(client, server);
  EXPECT_FALSE(hands.client);
  // In TLS 1.3 the server may be done before it hears of it.
  const Trouble heard = hands.server ? testing::poke(server).error() : hands.server.error();
  EXPECT_EQ(heard.stop, Stop::failed);
  EXPECT_TRUE(refuses_certificate(heard.alert)) << int{heard.alert};
}

TEST(Alerts, AreWhatAClientUnderstands) {
  Pair pair;
  const SslContextPtr context = testing::make_client();
  Connection client = testing::call(context.get(), pair.near.get(), "a.example");
  EXPECT_EQ(client.handshake().error().stop, Stop::want_read);
  const auto alert = encode_fatal_alert(Alert::bad_certificate);
  ASSERT_EQ(send(pair.far.get(), alert.data(), alert.size(), 0), 7);
  const auto hands = client.handshake();
  ASSERT_FALSE(hands);
  EXPECT_EQ(hands.error().alert, 42);
  EXPECT_THAT(hands.error().text, HasSubstr("bad certificate"));
}

// What scanners look for.
TEST(Strength, OldAndWeakIsRefused) {
  Authority authority = Authority::make("w1").value();
  ServerContext context = ServerContext::make().value();
  const auto accepts = [&](int least, int most, const char* ciphers, const char* signatures) {
    const SslContextPtr client_context = testing::make_client(least, most);
    EXPECT_EQ(SSL_CTX_set_cipher_list(client_context.get(), ciphers), 1) << ciphers;
    if (signatures) EXPECT_EQ(SSL_CTX_set1_sigalgs_list(client_context.get(), signatures), 1);
    Pair pair;
    Connection server = context.accept(pair.far.get(), authority.issue("a.example").value(), "").value();
    Connection client = testing::call(client_context.get(), pair.near.get(), "a.example");
    return testing::shake_hands(client, server).done();
  };
  EXPECT_TRUE(accepts(TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE+AESGCM", nullptr));
  EXPECT_FALSE(accepts(TLS1_1_VERSION, TLS1_1_VERSION, "ALL:@SECLEVEL=0", nullptr));
  EXPECT_FALSE(accepts(TLS1_2_VERSION, TLS1_2_VERSION, "ALL:!AESGCM:!CHACHA20:@SECLEVEL=0", nullptr));
  EXPECT_FALSE(accepts(TLS1_2_VERSION, TLS1_2_VERSION, "aNULL:@SECLEVEL=0", nullptr));
  EXPECT_FALSE(accepts(TLS1_2_VERSION, TLS1_2_VERSION, "ALL:@SECLEVEL=0", "ECDSA+SHA1"));
}

}  // namespace
}  // namespace microagent::tls

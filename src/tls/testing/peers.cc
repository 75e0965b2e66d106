#include "tls/testing/peers.h"

#include <array>

#include "tls/connection_state.h"

namespace microagent::tls::testing {
namespace {

constexpr int kRounds = 100'000;  // more than any test needs

std::string as_sent(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += static_cast<char>(name.size()) + name;
  return list;
}

int give_staple(SSL* ssl, void* staple) {
  const auto& bytes = *static_cast<const std::vector<unsigned char>*>(staple);
  auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(bytes.data(), bytes.size()));
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(bytes.size()));
  return SSL_TLSEXT_ERR_OK;
}

// The context owns its copy of the answer.
void free_staple(void*, void* staple, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<std::vector<unsigned char>*>(staple);
}

void set_staple(SSL_CTX* context, const std::vector<unsigned char>& staple) {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_staple);
  auto* copy = new std::vector<unsigned char>(staple);
  SSL_CTX_set_ex_data(context, index, copy);
  SSL_CTX_set_tlsext_status_cb(context, give_staple);
  SSL_CTX_set_tlsext_status_arg(context, copy);
}

SslContextPtr make_any(const SSL_METHOD* method, int least, int most) {
  SslContextPtr context(SSL_CTX_new(method));
  MICROAGENT_CHECK(context);
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), least);
  SSL_CTX_set_max_proto_version(context.get(), most);
  return context;
}

Connection begin(SSL_CTX* context, int fd, bool server) {
  auto state = open(context, fd).value();
  server ? SSL_set_accept_state(state->ssl.get()) : SSL_set_connect_state(state->ssl.get());
  return Connection(std::move(state));
}

int choose_first(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned,
                 void*) {
  *size = offered[0];
  *chosen = offered + 1;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

SslContextPtr make_server(const Identity& identity, const Manners& manners) {
  SslContextPtr context = make_any(TLS_server_method(), manners.least, manners.most);
  MICROAGENT_CHECK(SSL_CTX_use_certificate(context.get(), identity.certificate.get()) == 1);
  MICROAGENT_CHECK(SSL_CTX_use_PrivateKey(context.get(), identity.key.get()) == 1);
  for (const Identity* next : manners.chain) SSL_CTX_add1_chain_cert(context.get(), next->certificate.get());
  if (!manners.staple.empty()) set_staple(context.get(), manners.staple);
  if (manners.chooses_protocol) SSL_CTX_set_alpn_select_cb(context.get(), choose_first, nullptr);
  if (manners.wants_certificate) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | (manners.insists ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
    SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>("test"), 4);
  }
  return context;
}

SslContextPtr make_client(int least, int most) { return make_any(TLS_client_method(), least, most); }

Connection serve(SSL_CTX* context, int fd) { return begin(context, fd, true); }

Connection call(SSL_CTX* context, int fd, const std::string& name, const std::vector<std::string>& alpn) {
  auto state = open(context, fd).value();
  SSL_set_tlsext_host_name(state->ssl.get(), name.c_str());
  const std::string list = as_sent(alpn);
  if (!list.empty()) {
    SSL_set_alpn_protos(state->ssl.get(), reinterpret_cast<const unsigned char*>(list.data()),
                        static_cast<unsigned>(list.size()));
  }
  SSL_set_connect_state(state->ssl.get());
  return Connection(std::move(state));
}

Handshakes shake_hands(Connection& client, Connection& server) {
  Handshakes result{client.handshake(), server.handshake()};
  const auto waits = [](const Outcome<void>& outcome) { return !outcome && outcome.error().waits(); };
  // Each may fail at any time, and the other must still learn of it.
  for (int i = 0; i < 20 && (waits(result.client) || waits(result.server)); ++i) {
    if (waits(result.client)) result.client = client.handshake();
    if (waits(result.server)) result.server = server.handshake();
  }
  return result;
}

Carried carry(Connection& from, Connection& to, std::string_view text) {
  Carried carried;
  std::size_t sent = 0;
  std::array<std::uint8_t, 4096> buffer;
  for (int i = 0; i < kRounds && carried.text.size() < text.size(); ++i) {
    if (sent < text.size()) {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
      const auto wrote = from.write({bytes + sent, text.size() - sent});
      if (wrote) sent += *wrote;
      if (!wrote && !wrote.error().waits()) return {carried.text, wrote.error()};
    }
    const auto got = to.read(buffer);
    if (got) carried.text.append(reinterpret_cast<const char*>(buffer.data()), *got);
    if (!got && !got.error().waits()) return {carried.text, got.error()};
  }
  return carried;
}

Outcome<std::size_t> poke(Connection& connection) {
  std::array<std::uint8_t, 4096> buffer;
  const auto first = connection.read(buffer);
  // It may say so by what its last read has seen of the socket.
  return !first && first.error().stop == Stop::want_read ? connection.read(buffer) : first;
}

}  // namespace microagent::tls::testing

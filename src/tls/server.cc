#include "tls/server.h"

#include <openssl/err.h>

#include <array>

#include "tls/connection_state.h"
#include "tls/leaf_state.h"

namespace microagent::tls {
namespace {

// Of TLS 1.2; those of 1.3 are all good. The guest may be a small machine without AES in hardware: its order counts.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305";
constexpr const char* kSignatures = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512";
constexpr const char* kGroups = "X25519:P-256:P-384";

int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  const std::string& wanted = state_of(ssl).alpn;
  if (wanted.empty()) return SSL_TLSEXT_ERR_NOACK;
  for (unsigned at = 0; at < offered_size; at += 1u + offered[at]) {
    const unsigned length = offered[at];
    if (length > offered_size - at - 1) break;
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), length);
    if (name != wanted) continue;
    *chosen = offered + at + 1;
    *size = static_cast<unsigned char>(length);
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Tickets of all names are sealed with the same key; this keeps one from opening a session under another.
bool bind_sessions(SSL* ssl, const std::string& name, const std::string& alpn) {
  const std::string scope = name + '\0' + alpn;
  std::array<unsigned char, SSL_MAX_SID_CTX_LENGTH> digest{};
  unsigned size = 0;
  return EVP_Digest(scope.data(), scope.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1 &&
         SSL_set_session_id_context(ssl, digest.data(), size) == 1;
}

}  // namespace

struct ServerContext::State {
  SslContextPtr context;
};

ServerContext::ServerContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
ServerContext::ServerContext(ServerContext&&) noexcept = default;
ServerContext& ServerContext::operator=(ServerContext&&) noexcept = default;
ServerContext::~ServerContext() = default;

Result<ServerContext> ServerContext::make() {
  Result<SslContextPtr> made = make_context(TLS_server_method());
  if (!made) return fail(std::move(made).error());
  SSL_CTX* const context = made->get();
  if (SSL_CTX_set_cipher_list(context, kCiphers) != 1 || SSL_CTX_set1_sigalgs_list(context, kSignatures) != 1 ||
      SSL_CTX_set1_groups_list(context, kGroups) != 1) {
    return fail_openssl("cannot set TLS up");
  }
  // The client keeps its sessions itself, as tickets: nothing grows here with their number.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  return ServerContext(std::make_unique<State>(State{std::move(*made)}));
}

Result<Connection> ServerContext::accept(int fd, const Leaf& leaf, const std::string& alpn) {
  Result<std::unique_ptr<Connection::State>> state = open(state_->context.get(), fd);
  if (!state) return fail(std::move(state).error());
  SSL* const ssl = (*state)->ssl.get();
  const Leaf::State& shown = leaf.state();
  if (SSL_use_certificate(ssl, shown.certificate.get()) != 1 || SSL_use_PrivateKey(ssl, shown.key.get()) != 1 ||
      !bind_sessions(ssl, shown.name, alpn)) {
    return fail_openssl("cannot show a certificate");
  }
  (*state)->alpn = alpn;
  SSL_set_accept_state(ssl);
  return Connection(std::move(*state));
}

}  // namespace microagent::tls

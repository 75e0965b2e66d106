#include "tls/client.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include "tls/certificates.h"
#include "tls/connection_state.h"
#include "tls/system_roots.h"
#include "tls/verify.h"

namespace microagent::tls {
namespace {

Status trust_system(X509_STORE* store, const std::filesystem::path& given) {
  const std::filesystem::path path = given.empty() ? system_file() : given;
  if (X509_STORE_load_file(store, path.c_str()) == 1) return {};
  return fail(ErrorKind::permanent,
              fmt::format("cannot read the trusted certificates of {}: {}", path.string(), take_openssl_error()),
              "install the host's package of CA certificates (ca-certificates)");
}

Status trust_extra(X509_STORE* store, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    Result<std::vector<CertificatePtr>> certificates = read_certificates(text);
    if (!certificates) return fail(std::move(certificates).error());
    for (const CertificatePtr& certificate : *certificates) {
      if (X509_STORE_add_cert(store, certificate.get()) != 1) return fail_openssl("cannot trust a certificate");
    }
  }
  return {};
}

// A server that asks for a certificate asks nothing where it resumes, and would then look like one that never does.
int on_session(SSL* ssl, SSL_SESSION* session) {
  const Connection::State& state = state_of(ssl);
  if (!state.sessions || state.unverified || state.asked_for_certificate) return 0;
  state.sessions->keep(state.session_key, SessionPtr(session));
  return 1;  // the reference is ours now
}

int on_certificate_wanted(SSL* ssl, X509**, EVP_PKEY**) {
  state_of(ssl).asked_for_certificate = true;
  return 0;  // goes on without
}

// As the list goes over the wire.
Result<std::string> encode_protocols(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) return fail(ErrorKind::usage, "no name of a protocol");
    list += static_cast<char>(name.size());
    list += name;
  }
  return list;
}

}  // namespace

Result<std::size_t> check_certificates(std::string_view pem) {
  return read_certificates(pem).map([](const std::vector<CertificatePtr>& found) { return found.size(); });
}

struct ClientContext::State {
  SslContextPtr context;
  std::shared_ptr<Sessions> sessions;
};

ClientContext::ClientContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
ClientContext::ClientContext(ClientContext&&) noexcept = default;
ClientContext& ClientContext::operator=(ClientContext&&) noexcept = default;
ClientContext::~ClientContext() = default;

Result<ClientContext> ClientContext::make(const Trust& trust) {
  Result<SslContextPtr> made = make_context(TLS_client_method());
  if (!made) return fail(std::move(made).error());
  SSL_CTX* const context = made->get();
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  Status trusted = trust_system(store, trust.system).and_then([&] { return trust_extra(store, trust.extra); });
  if (!trusted) return fail(std::move(trusted).error());
  // An intermediate certificate that the user trusts is enough.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  watch_verification(context);
  watch_revocation(context);
  SSL_CTX_set_client_cert_cb(context, on_certificate_wanted);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_session);
  return ClientContext(std::make_unique<State>(State{std::move(*made), std::make_shared<Sessions>(kMaxSessions)}));
}

Result<Connection> ClientContext::connect(int fd, const Server& server) {
  const Result<std::string> protocols = encode_protocols(server.alpn);
  if (!protocols) return fail(protocols.error());
  Result<std::unique_ptr<Connection::State>> opened = open(state_->context.get(), fd);
  if (!opened) return fail(std::move(opened).error());
  Connection::State& state = **opened;
  SSL* const ssl = state.ssl.get();
  if (!expect_name(ssl, server.name)) return fail_openssl("no name of a server");
  // Unlike the rest, this one returns 0 where it succeeds.
  if (!protocols->empty() && SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(protocols->data()),
                                                 static_cast<unsigned>(protocols->size())) != 0) {
    return fail_openssl("cannot offer protocols");
  }
  state.sessions = state_->sessions;
  state.session_key = fmt::format("{} {} {}", server.name, server.address, *protocols);
  if (const SessionPtr known = state.sessions->take(state.session_key, std::time(nullptr))) {
    SSL_set_session(ssl, known.get());
  }
  SSL_set_connect_state(ssl);
  return Connection(std::move(*opened));
}

}  // namespace microagent::tls

#include "tls/connection.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tls/connection_state.h"

namespace microagent::tls {
namespace {

// Several records at once: a system call costs more than to decrypt a small one.
constexpr std::size_t kReadBuffer = 48 * 1024;

// Alerts of the peer stand in OpenSSL's queue as errors of their own, counted from SSL_AD_REASON_OFFSET.
std::uint8_t alert_of(unsigned long code) {
  const int reason = ERR_GET_REASON(code);
  if (ERR_GET_LIB(code) != ERR_LIB_SSL || reason < SSL_AD_REASON_OFFSET || reason > SSL_AD_REASON_OFFSET + 255)
    return 0;
  return static_cast<std::uint8_t>(reason - SSL_AD_REASON_OFFSET);
}

Trouble protocol_trouble(const Connection::State& state) {
  const unsigned long code = ERR_peek_error();
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    ERR_clear_error();
    return {Stop::cut_off, "the connection was closed in the middle"};
  }
  if (state.unverified) {
    ERR_clear_error();
    return {Stop::failed, state.unverified->text};
  }
  const std::uint8_t alert = alert_of(code);
  if (alert == 0) return {Stop::failed, take_openssl_error()};
  ERR_clear_error();
  return {Stop::failed, fmt::format("the peer gave up: {}", SSL_alert_desc_string_long(alert)), alert};
}

Trouble system_trouble(const Connection::State& state, int error_number) {
  if (state.socket.at_end || error_number == 0) return {Stop::cut_off, "the connection was closed in the middle"};
  return {Stop::failed, std::strerror(error_number)};
}

// Why a call returned `result`. Errors for good are remembered: OpenSSL must not be called again after one.
Trouble trouble(Connection::State& state, int result) {
  const int error_number = errno;
  switch (SSL_get_error(state.ssl.get(), result)) {
    case SSL_ERROR_WANT_READ: return {Stop::want_read, {}};
    case SSL_ERROR_WANT_WRITE: return {Stop::want_write, {}};
    case SSL_ERROR_ZERO_RETURN: return {Stop::ended, {}};
    case SSL_ERROR_SYSCALL:
      state.end = system_trouble(state, error_number);
      state.socket_failed = true;
      break;
    default: state.end = protocol_trouble(state); break;
  }
  return *state.end;
}

// Calls OpenSSL with an empty queue of errors, unless the connection is done for.
template <typename Call>
Outcome<void> run(Connection::State& state, Call call) {
  if (state.end) return tl::unexpected(*state.end);
  ERR_clear_error();
  errno = 0;
  const int result = call(state.ssl.get());
  if (result > 0) return {};
  return tl::unexpected(trouble(state, result));
}

}  // namespace

std::string_view to_string(VerifyFault fault) {
  switch (fault) {
    case VerifyFault::expired: return "expired";
    case VerifyFault::not_yet_valid: return "not-yet-valid";
    case VerifyFault::wrong_name: return "wrong-name";
    case VerifyFault::self_signed: return "self-signed";
    case VerifyFault::unknown_issuer: return "unknown-issuer";
    case VerifyFault::revoked: return "revoked";
    case VerifyFault::too_weak: return "too-weak";
    case VerifyFault::invalid: return "invalid";
  }
  return "invalid";
}

Connection::State& state_of(const SSL* ssl) { return *static_cast<Connection::State*>(SSL_get_app_data(ssl)); }

Result<std::unique_ptr<Connection::State>> open(SSL_CTX* context, int fd) {
  ERR_clear_error();
  auto state = std::make_unique<Connection::State>();
  state->socket.fd = fd;
  state->ssl.reset(SSL_new(context));
  BioPtr bio = over(state->socket);
  if (!state->ssl || !bio || SSL_set_app_data(state->ssl.get(), state.get()) != 1) {
    return fail_openssl("cannot begin a TLS connection");
  }
  SSL_set_bio(state->ssl.get(), bio.get(), bio.get());
  (void)bio.release();
  return state;
}

Result<SslContextPtr> make_context(const SSL_METHOD* method) {
  ERR_clear_error();
  SslContextPtr context(SSL_CTX_new(method));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) != 1) {
    return fail_openssl("cannot set TLS up");
  }
  SSL_CTX_set_security_level(context.get(), 2);  // 112 bits; and whatever else the host's own settings say
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_default_read_buffer_len(context.get(), kReadBuffer);
  return context;
}

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Outcome<void> Connection::handshake() {
  return run(*state_, [](SSL* ssl) { return SSL_do_handshake(ssl); });
}

Outcome<std::size_t> Connection::read(MutableBytes into) {
  // OpenSSL would get itself a buffer first, and ask the socket then.
  SSL* const ssl = state_->ssl.get();
  if (!state_->end && state_->socket.drained && SSL_has_pending(ssl) == 0 && SSL_want(ssl) != SSL_WRITING &&
      (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) == 0) {
    state_->socket.drained = false;
    return tl::unexpected(Trouble{Stop::want_read, {}});
  }
  std::size_t count = 0;
  return run(*state_, [&](SSL* ssl) { return SSL_read_ex(ssl, into.data(), into.size(), &count); }).map([&] {
    return count;
  });
}

Outcome<void> Connection::peek() {
  return run(*state_, [](SSL* ssl) {
    std::uint8_t byte = 0;
    std::size_t count = 0;
    return SSL_peek_ex(ssl, &byte, 1, &count);
  });
}

Outcome<std::size_t> Connection::write(ByteView bytes) {
  if (state_->write_end) return tl::unexpected(*state_->write_end);
  if (state_->end) return tl::unexpected(*state_->end);
  std::size_t count = 0;
  const auto done = run(*state_, [&](SSL* ssl) { return SSL_write_ex(ssl, bytes.data(), bytes.size(), &count); });
  if (done) return count;
  // A peer that hung up may have answered before.
  if (state_->socket_failed) state_->write_end = std::exchange(state_->end, std::nullopt);
  return tl::unexpected(done.error());
}

Outcome<void> Connection::close_notify() {
  if (state_->write_end) return tl::unexpected(*state_->write_end);
  // 0 says that the peer has not closed its side yet, which is no concern of this one.
  return run(*state_, [](SSL* ssl) {
    const int result = SSL_shutdown(ssl);
    return result == 0 ? 1 : result;
  });
}

std::size_t Connection::pending() const { return static_cast<std::size_t>(SSL_pending(state_->ssl.get())); }

int Connection::fd() const { return state_->socket.fd; }

std::string_view Connection::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(state_->ssl.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string_view Connection::version() const { return SSL_get_version(state_->ssl.get()); }
std::string_view Connection::cipher() const { return SSL_get_cipher_name(state_->ssl.get()); }
bool Connection::resumed() const { return SSL_session_reused(state_->ssl.get()) == 1; }

std::string Connection::peer_fingerprint() const {
  const X509* peer = SSL_get0_peer_certificate(state_->ssl.get());
  return peer ? fingerprint_of(peer) : std::string();
}

const std::optional<Unverified>& Connection::unverified() const { return state_->unverified; }
bool Connection::asked_for_certificate() const { return state_->asked_for_certificate; }

}  // namespace microagent::tls

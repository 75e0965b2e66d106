#include "mediator/interceptor.h"

#include <utility>

#include "mediator/missing_certificate.h"

namespace microagent::mediator {
namespace {

tls::Alert alert_for(tls::VerifyFault fault) {
  switch (fault) {
    case tls::VerifyFault::expired: return tls::Alert::certificate_expired;
    case tls::VerifyFault::revoked: return tls::Alert::certificate_revoked;
    case tls::VerifyFault::self_signed:
    case tls::VerifyFault::unknown_issuer: return tls::Alert::unknown_ca;
    case tls::VerifyFault::not_yet_valid:
    case tls::VerifyFault::wrong_name:
    case tls::VerifyFault::too_weak:
    case tls::VerifyFault::invalid: break;
  }
  return tls::Alert::bad_certificate;
}

UpstreamFailure failure_of(const TlsStream& stream, std::string error) {
  const tls::Connection& connection = stream.connection();
  if (const auto& unverified = connection.unverified()) {
    return {std::string(to_string(unverified->fault)), unverified->text, alert_for(unverified->fault)};
  }
  UpstreamFailure failure{{}, std::move(error), tls::Alert::handshake_failure, misses_certificate(stream)};
  failure.refuses_protocols = stream.alert() == static_cast<std::uint8_t>(tls::Alert::no_application_protocol);
  if (failure.wants_certificate) {
    failure.text = kAsksCertificate;
  }
  return failure;
}

}  // namespace

Result<Interceptor> Interceptor::make(tls::Authority authority, const tls::Trust& trust) {
  auto server = tls::ServerContext::make();
  if (!server) return fail(server.error());
  auto client = tls::ClientContext::make(trust);
  if (!client) return fail(client.error());
  return Interceptor(std::move(authority), std::move(*server), std::move(*client));
}

Interceptor::Interceptor(tls::Authority authority, tls::ServerContext server, tls::ClientContext client)
    : authority_(std::move(authority)), server_(std::move(server)), client_(std::move(client)) {}

asio::awaitable<Interceptor::Connected> Interceptor::connect(Descriptor upstream, std::string name, std::string address,
                                                             std::vector<std::string> alpn) {
  auto connection = client_.connect(upstream.native_handle(), {name, std::move(address), std::move(alpn)});
  if (!connection) co_return tl::unexpected(UpstreamFailure{{}, connection.error().message});
  auto stream = std::make_unique<TlsStream>(std::move(upstream), std::move(*connection));
  std::string error = co_await stream->handshake(in(kHandshakeTimeout));
  if (!error.empty()) co_return tl::unexpected(failure_of(*stream, std::move(error)));
  co_return stream;
}

asio::awaitable<tl::expected<std::unique_ptr<TlsStream>, Interceptor::GuestFailure>> Interceptor::accept(
    Descriptor guest, std::string name, std::string alpn) {
  const auto leaf = authority_.issue(name);
  if (!leaf) co_return tl::unexpected(GuestFailure{leaf.error().message});
  auto connection = server_.accept(guest.native_handle(), *leaf, alpn);
  if (!connection) co_return tl::unexpected(GuestFailure{connection.error().message});
  auto stream = std::make_unique<TlsStream>(std::move(guest), std::move(*connection));
  std::string error = co_await stream->handshake(in(kHandshakeTimeout));
  if (error.empty()) co_return stream;
  co_return tl::unexpected(GuestFailure{std::move(error), tls::refuses_certificate(stream->alert())});
}

}  // namespace microagent::mediator

#pragma once

// The two handshakes of an intercepted TLS connection: the upstream's first, and only when its certificate is believed
// the guest's, with a certificate of the workspace's own authority.

#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "base/result.h"
#include "mediator/stream.h"
#include "tls/alert.h"
#include "tls/authority.h"
#include "tls/client.h"
#include "tls/server.h"

namespace microagent::mediator {

inline constexpr std::chrono::milliseconds kHandshakeTimeout{10'000};

inline constexpr const char* kAsksCertificate =
    "it asks for a client certificate, which only the guest may have: use --egress-passthrough";

// Why there is no connection to the upstream, for the record and for the guest.
struct UpstreamFailure {
  std::string fault;  // "expired", "wrong-name"; empty where the certificate is not to blame
  std::string text;
  tls::Alert alert = tls::Alert::handshake_failure;
  bool wants_certificate = false;  // it asked for the guest's certificate, which only the guest has
  bool refuses_protocols = false;  // it speaks none of those that it was offered
};

class Interceptor {
 public:
  static Result<Interceptor> make(tls::Authority authority, const tls::Trust& trust);

  using Connected = tl::expected<std::unique_ptr<TlsStream>, UpstreamFailure>;
  // `address` is where the descriptor leads, with the port. `alpn` is what the guest offers.
  asio::awaitable<Connected> connect(Descriptor upstream, std::string name, std::string address,
                                     std::vector<std::string> alpn);

  // A guest's handshake that failed: what is wrong, and whether it was our certificate.
  struct GuestFailure {
    std::string text;
    bool distrusts = false;
  };
  asio::awaitable<tl::expected<std::unique_ptr<TlsStream>, GuestFailure>> accept(Descriptor guest, std::string name,
                                                                                 std::string alpn);

  const tls::Authority& authority() const { return authority_; }

 private:
  Interceptor(tls::Authority authority, tls::ServerContext server, tls::ClientContext client);

  tls::Authority authority_;
  tls::ServerContext server_;
  tls::ClientContext client_;
};

}  // namespace microagent::mediator

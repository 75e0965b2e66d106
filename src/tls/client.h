#pragma once

// The side towards the real servers: their certificates are verified, always.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "tls/connection.h"

namespace microagent::tls {

inline constexpr std::size_t kMaxSessions = 256;  // servers that sessions are kept of, for resumption

// Whom to trust.
struct Trust {
  std::filesystem::path system;    // a file of certificates; empty: the host's own
  std::vector<std::string> extra;  // PEM texts with more of them
};

// How many certificates a PEM text holds. An error names what is wrong and the line: no certificate, text that is none,
// a private key.
Result<std::size_t> check_certificates(std::string_view pem);

struct Server {
  std::string name;               // a DNS name or an IP address: what the certificate must be for
  std::string address;            // where it was dialled, with the port: sessions of one are not offered to another
  std::vector<std::string> alpn;  // offered, the best first; empty: none
};

class ClientContext {
 public:
  struct State;  // OpenSSL's, and known to this folder only

  explicit ClientContext(std::unique_ptr<State> state);
  // Reads everything that it will ever read of the file system.
  static Result<ClientContext> make(const Trust& trust);

  ClientContext(ClientContext&&) noexcept;
  ClientContext& operator=(ClientContext&&) noexcept;
  ~ClientContext();

  // `fd` is borrowed. The handshake fails where the certificate is not believed, and unverified() says why.
  Result<Connection> connect(int fd, const Server& server);

 private:
  std::unique_ptr<State> state_;
};

}  // namespace microagent::tls

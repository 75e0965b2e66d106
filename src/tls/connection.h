#pragma once

// One TLS connection on a nonblocking descriptor. Nothing waits in here: an operation that cannot go on says for what
// the descriptor must be watched, and is called again.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "base/bytes.h"

namespace microagent::tls {

enum class Stop : std::uint8_t {
  want_read,   // again once the descriptor is readable
  want_write,  // again once it is writable
  ended,       // the peer said that it has sent everything (close_notify)
  cut_off,     // the stream ended without the peer saying so: what came may be a part of the whole
  failed,      // for good
};

// Why an operation did not go on. Of `cut_off` and `failed` the connection knows no return.
struct Trouble {
  Stop stop = Stop::failed;
  std::string text;        // for people, where cut off or failed
  std::uint8_t alert = 0;  // the fatal alert that the peer sent, where it sent one (alert.h)

  bool waits() const { return stop == Stop::want_read || stop == Stop::want_write; }
};

template <typename T>
using Outcome = tl::expected<T, Trouble>;

// Why a server's certificate is not believed.
enum class VerifyFault : std::uint8_t {
  expired,
  not_yet_valid,
  wrong_name,
  self_signed,     // by itself, or by a root that the server brought along
  unknown_issuer,  // or an intermediate certificate that the server did not send
  revoked,         // says the signed answer that the server itself brought (OCSP stapling)
  too_weak,        // key or signature
  invalid,         // anything else
};

// One word for programs: "wrong-name".
std::string_view to_string(VerifyFault fault);

struct Unverified {
  VerifyFault fault{};
  std::string text;  // a sentence: "the certificate is for a.example, b.example"
};

class Connection {
 public:
  struct State;  // OpenSSL's, and known to this folder only

  explicit Connection(std::unique_ptr<State> state);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  // Until it succeeds, nothing can be read or written.
  Outcome<void> handshake();
  // At least one byte. The connection reads ahead of what is asked for: the descriptor tells of more only after
  // `want_read`.
  Outcome<std::size_t> read(MutableBytes into);
  // What read() would say of more, with nothing taken: alerts of the peer are heard.
  Outcome<void> peek();
  // How many were taken, at least one. After a wait the same bytes must come again, wherever they lie, and may be more.
  Outcome<std::size_t> write(ByteView bytes);
  // Tells the peer that everything is sent. What it sends can be read on.
  Outcome<void> close_notify();

  // What was decrypted and not yet read.
  std::size_t pending() const;

  int fd() const;
  // The rest is known once the handshake is done.
  std::string_view alpn() const;     // empty: none was chosen
  std::string_view version() const;  // "TLSv1.3"
  std::string_view cipher() const;
  bool resumed() const;
  std::string peer_fingerprint() const;  // SHA-256 of the peer's certificate in hex; empty where it has none

  // Of a connection to a server. Known once the handshake is done or has failed.
  const std::optional<Unverified>& unverified() const;
  bool asked_for_certificate() const;  // the server wants one of ours, which we never have

 private:
  std::unique_ptr<State> state_;
};

}  // namespace microagent::tls

#pragma once

// Alerts (RFC 8446, 6): how a peer says why it gives up.

#include <array>
#include <cstdint>
#include <string_view>

namespace microagent::tls {

enum class Alert : std::uint8_t {
  handshake_failure = 40,
  bad_certificate = 42,
  unsupported_certificate = 43,
  certificate_revoked = 44,
  certificate_expired = 45,
  certificate_unknown = 46,
  unknown_ca = 48,
  access_denied = 49,
  internal_error = 80,
  bad_certificate_status_response = 113,
  certificate_required = 116,
  no_application_protocol = 120,
};

// A fatal alert as a server sends it before its first message, when it has read nothing but the ClientHello.
constexpr std::array<std::uint8_t, 7> encode_fatal_alert(Alert alert) {
  constexpr std::uint8_t kAlertRecord = 21, kFatal = 2;
  return {kAlertRecord, 3, 3, 0, 2, kFatal, static_cast<std::uint8_t>(alert)};
}

// The peer does not believe the certificate that it was shown: it trusts another issuer, or pins one.
constexpr bool refuses_certificate(std::uint8_t alert) {
  return (alert >= static_cast<std::uint8_t>(Alert::bad_certificate) &&
          alert <= static_cast<std::uint8_t>(Alert::certificate_unknown)) ||
         alert == static_cast<std::uint8_t>(Alert::unknown_ca);
}

}  // namespace microagent::tls

#pragma once

// Whether a server has turned us away since it got no certificate, which only the guest may have. One that asks for a
// certificate may do without; of the alerts it is these with which one says that it does not.

#include "mediator/stream.h"
#include "tls/alert.h"

namespace microagent::mediator {

inline bool misses_certificate(const TlsStream& stream) {
  if (!stream.connection().asked_for_certificate()) return false;
  const auto alert = static_cast<tls::Alert>(stream.alert());
  return alert == tls::Alert::handshake_failure || alert == tls::Alert::bad_certificate ||
         alert == tls::Alert::certificate_required;
}

}  // namespace microagent::mediator

#include "tls/sessions.h"

#include "tls/certificates.h"

namespace microagent::tls {
namespace {

constexpr std::size_t kPerKey = 8;         // connections to one server that come together resume, too
constexpr std::time_t kLongest = 60 * 60;  // after which a certificate is verified anew, whatever the server says

// A resumed session brings no certificate, so that the one it was made with must still hold.
bool holds(const SSL_SESSION* session, std::time_t now) {
  if (SSL_SESSION_is_resumable(session) != 1) return false;
  const std::time_t age = now - static_cast<std::time_t>(SSL_SESSION_get_time(session));
  if (age < 0 || age > kLongest || age > SSL_SESSION_get_timeout(session)) return false;
  const X509* peer = SSL_SESSION_get0_peer(const_cast<SSL_SESSION*>(session));
  const std::optional<std::time_t> end = peer ? time_of(X509_get0_notAfter(peer)) : std::nullopt;
  return end && now < *end;
}

}  // namespace

void Sessions::keep(const std::string& key, SessionPtr session) {
  std::vector<SessionPtr>& known = by_key_.obtain(key);
  if (known.size() >= kPerKey) known.erase(known.begin());
  known.push_back(std::move(session));
}

SessionPtr Sessions::take(const std::string& key, std::time_t now) {
  std::vector<SessionPtr>* known = by_key_.find(key);
  SessionPtr session;
  while (known && !known->empty() && !session) {
    session = std::move(known->back());
    known->pop_back();
    if (!holds(session.get(), now)) session.reset();
  }
  if (session && SSL_SESSION_get_protocol_version(session.get()) < TLS1_3_VERSION) {
    known->push_back(share(session.get()));
  }
  if (known && known->empty()) by_key_.erase(key);
  return session;
}

}  // namespace microagent::tls

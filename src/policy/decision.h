#pragma once

// The one place where a flow is judged: a pure function from a policy and the facts known of the flow to a verdict and
// what gave it. It is asked twice for TCP: at the SYN (Content::unseen), and when the guest's first bytes, or the
// server's, have shown what the flow is. Other protocols are judged once.
//
// Order: deny beats passthrough beats allow; the most specific name wins among equals; an allow or passthrough rule
// overrides the inside; then the inside is denied, then the lock denies what is not listed.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/inside.h"
#include "policy/policy.h"

namespace microagent::policy {

enum class Protocol : std::uint8_t { tcp, udp, icmp };

// What a TCP flow turned out to be.
enum class Content : std::uint8_t {
  unseen,  // nothing has been looked at
  opaque,  // neither TLS nor HTTP, or the server spoke first
  tls,
  http1,
  http2,  // without TLS (RFC 9113, 3.3)
};

// What is known of a flow when it is judged.
struct Facts {
  Protocol protocol = Protocol::tcp;
  Address destination;                // the very address that will be dialled
  std::optional<std::uint16_t> port;  // nothing for ICMP
  // Canonical names that DNS answers of this workspace gave this address for, and names that were just looked up and
  // have it. What is not in here is not bound.
  std::vector<std::string> bound_names;
  Content content = Content::unseen;
  std::string name;   // SNI or Host without its port, as the guest sent it; empty: it sent none
  bool swap = false;  // a credential swap wants `name`
};

enum class Verdict : std::uint8_t {
  deny,
  peek,       // TCP, unseen: nothing speaks against the address; look at the first bytes and ask again
  splice,     // lead it to the destination unread
  intercept,  // read its requests, each of them judged by decide_request()
};

enum class Reason : std::uint8_t {
  listed,            // "listed": an allow or passthrough rule
  unlisted_public,   // "public": no rule names it, and it is public
  off,               // "off": nothing is judged
  deny_rule,         // "denied": a deny rule
  inside,            // "inside": the destination is inside and no rule allows it
  not_listed,        // "not-listed": the lock
  invalid_name,      // "invalid-name": the guest named something that is no host name
  unreadable,        // "unreadable": a rule needs the requests and there are none to read
  request_unlisted,  // "request-not-listed": the host's rules allow other requests only
  ambiguous_path,    // "ambiguous-path": a rule needs the path, and servers disagree about what this one names
  quic,              // "quic": clients come back over TCP
};
std::string_view to_string(Reason reason);

// The closed set of the audit field `signal`; empty text for none.
enum class Signal : std::uint8_t {
  none,
  denied,
  direct_ip_no_sni,
  quic_udp443,
  foreign_resolver,
  name_destination_mismatch,
  dns_over_https,
  unmediatable_protocol,
  unresolved_secret_ref,
};
std::string_view to_string(Signal signal);

struct Decision {
  Verdict verdict = Verdict::deny;
  Reason reason = Reason::inside;
  Signal signal = Signal::none;
  // --observe let through what the lock, the inside or a rule would have denied: `reason` and `rule` say what.
  bool would_deny = false;
  std::string host;  // whom the flow is for: the canonical name if it counts, else a bound one, else the address
  RulePtr rule;      // the rule of a list that decided; null where a built-in one did
  std::string text;  // for people and records: "allow api.example.com:443 (--egress-allow)", "inside: loopback
                     // 127.0.0.0/8", "lockAllowlist: not listed"

  bool allowed() const { return verdict != Verdict::deny; }
};

Decision decide(const Policy& policy, const Surroundings& surroundings, const Facts& facts);

// The name that must be looked up before decide() can let it count: canonical, sent by the guest, and not bound yet.
std::optional<std::string> unbound_name(const Facts& facts);

// One request on a flow that is intercepted. `path` is as on the request line; its query does not count.
struct Request {
  std::string method, path;
};
// Verdict splice (pass it on) or deny. `facts` are those of the flow, with the name of this request.
Decision decide_request(const Policy& policy, const Surroundings& surroundings, const Facts& facts,
                        const Request& request);

// Whether a name may be looked up at all: denied by a deny rule for all of the host, or by the lock. `name` is the text
// of a DNS name; one that is no host name is looked up like any other while there is no lock.
Decision decide_lookup(const Policy& policy, std::string_view name);

}  // namespace microagent::policy

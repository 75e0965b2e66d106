#pragma once

// The schema of egress.jsonl: one JSON object a line, in ASCII. First `seq` (1, 2, ...), `ts` (RFC 3339, UTC), `event`,
// `workspace` and, where the record is about one, `flow`; then what the event adds; last `prev` (chain.h). `flow` is
// unique within the log and ties a flow's records together. A record of a decision has `decision`, the id that the
// guest was told, and `rule`; `signal` where there is one (policy/decision.h).

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace microagent::audit {

enum class Event : std::uint8_t {
  allow,          // egress_allow: host dst proto rule unlisted? mitm? reused?; also ICMP echo. Opens a flow.
  deny,           // egress_deny: host name? dst proto reason rule decision count?
  internal_deny,  // egress_internal_deny: the same and internal:true
  dial_error,     // egress_dial_error: host dst error. Ends a flow.
  close,          // egress_close: host dst bytesOut bytesIn durationMs end. Ends a flow.
  udp_allow,      // egress_udp_*: the same for UDP
  udp_deny,
  udp_internal_deny,
  udp_dial_error,
  udp_close,
  dns_allow,             // egress_dns_allow: qname qtype id resolver
  dns_error,             // egress_dns_error: qname resolver error
  mediation_open,        // mediation_open: host dst src proto rule. Opens a flow of the mediation channel.
  mediation_deny,        // mediation_deny: the same and reason
  mediation_dial_error,  // mediation_dial_error: host dst src proto error. Ends a flow.
  mediation_close,       // mediation_close: as egress_close. Ends a flow.
  recovered,             // egress_audit_recovered: tornBytes movedTo, or missing (records that were written and are
                         // gone), or changed (the seq of one), or unwritten (at most so many could not be written)
  listen,                // egress_listen: version mode lockAllowlist observe? rules swaps?; the mediator is up
  dns_deny,              // egress_dns_deny: qname qtype id reason rule decision count?
  dns_reply_error,       // egress_dns_reply_error: qname error; the answer did not reach the guest
  cap_exceeded,          // egress_cap_exceeded: host? dst proto reason(volume|rate|concurrency) limit rule?
  request,               // egress_request: method host path status bytesOut bytesIn durationMs swap? error?; never
                         // queries or headers. At its end.
  request_open,          // egress_request_open: method host path; one that goes on, before its end
  mitm_enabled,          // egress_mitm_enabled
  mitm_handshake_error,  // egress_mitm_handshake_error: host error; with the guest
  mitm_upstream_error,   // egress_mitm_upstream_error: host dst error
  swap,                  // egress_swap: host swap type
  swap_error,            // egress_swap_error: host swap type error signal
  secret_warning,        // egress_secret_warning: warning
  policy_changed,        // egress_policy_changed: version change list rule
  quarantined,           // egress_quarantined
  rotated,               // egress_audit_rotated: previous lastFlow open; the first of a new file (tail.h)
  dropped,               // egress_audit_dropped: file lastSeq lastHash; the oldest file, which is removed then
};
inline constexpr std::size_t kEvents = static_cast<std::size_t>(Event::dropped) + 1;

std::string_view to_string(Event event);
std::optional<Event> event_from_string(std::string_view name);

// The event that ends what this one opened; nothing for events that open no flow.
std::optional<Event> closing_event(Event event);
bool ends_flow(Event event);
// Whether something was kept from the guest.
bool is_denial(Event event);

// What an event adds, in the order it is to be written.
using Fields = nlohmann::ordered_json;

struct RecordHead {
  std::uint64_t seq = 0;
  std::string_view ts;
  Event event{};
  std::string_view workspace;
  std::uint64_t flow = 0;  // 0: about no flow
  std::string_view prev;
};

// One line without its newline. `fields` must not repeat a key of the head. Text that is not UTF-8 is made so.
std::string encode_record(const RecordHead& head, const Fields& fields);

// A record that is already in the log.
struct ParsedRecord {
  std::uint64_t seq = 0;
  Event event{};
  std::uint64_t flow = 0;
  std::string prev;
  Fields fields;  // all of it

  // The text of a key; empty where the record has none.
  std::string text(const char* key) const;
};

// Nothing when the line is not a record of ours.
std::optional<ParsedRecord> parse_record(std::string_view line);

}  // namespace microagent::audit

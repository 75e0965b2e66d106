#pragma once

// The schema of egress.jsonl: one JSON object a line, in ASCII. First `seq` (1, 2, ...), `ts` (RFC 3339, UTC), `event`,
// `workspace` and, where the record is about one, `flow`; then what the event adds; last `prev` (chain.h). `flow` is
// unique within the log and ties a flow's records together.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace microagent::audit {

enum class Event : std::uint8_t {
  allow,          // egress_allow: host dst proto rule; also ICMP echo. Opens a flow.
  deny,           // egress_deny: host dst proto reason rule
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
  recovered,             // egress_audit_recovered: tornBytes movedTo
};

std::string_view to_string(Event event);
std::optional<Event> event_from_string(std::string_view name);

// The event that ends what this one opened; nothing for events that open no flow.
std::optional<Event> closing_event(Event event);
bool ends_flow(Event event);

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

// What the writer needs to know of a record that is already in the log.
struct ParsedRecord {
  std::uint64_t seq = 0;
  Event event{};
  std::uint64_t flow = 0;
  std::string prev;
  std::string host, dst;  // empty where the record has none
};

// Nothing when the line is not a record of ours.
std::optional<ParsedRecord> parse_record(std::string_view line);

}  // namespace microagent::audit

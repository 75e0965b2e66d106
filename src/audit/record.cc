#include "audit/record.h"

#include <array>

#include "base/check.h"

namespace microagent::audit {
namespace {

struct Name {
  Event event;
  std::string_view text;
};

constexpr std::array kNames{
    Name{Event::allow, "egress_allow"},
    Name{Event::deny, "egress_deny"},
    Name{Event::internal_deny, "egress_internal_deny"},
    Name{Event::dial_error, "egress_dial_error"},
    Name{Event::close, "egress_close"},
    Name{Event::udp_allow, "egress_udp_allow"},
    Name{Event::udp_deny, "egress_udp_deny"},
    Name{Event::udp_internal_deny, "egress_udp_internal_deny"},
    Name{Event::udp_dial_error, "egress_udp_dial_error"},
    Name{Event::udp_close, "egress_udp_close"},
    Name{Event::dns_allow, "egress_dns_allow"},
    Name{Event::dns_error, "egress_dns_error"},
    Name{Event::mediation_open, "mediation_open"},
    Name{Event::mediation_deny, "mediation_deny"},
    Name{Event::mediation_dial_error, "mediation_dial_error"},
    Name{Event::mediation_close, "mediation_close"},
    Name{Event::recovered, "egress_audit_recovered"},
};

using Json = nlohmann::json;

std::optional<std::uint64_t> number_of(const Json& record, const char* key) {
  const auto found = record.find(key);
  if (found == record.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

std::optional<std::string> text_of(const Json& record, const char* key) {
  const auto found = record.find(key);
  if (found == record.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

}  // namespace

std::string_view to_string(Event event) {
  for (const Name& name : kNames) {
    if (name.event == event) return name.text;
  }
  MICROAGENT_CHECK(false);
}

std::optional<Event> event_from_string(std::string_view text) {
  for (const Name& name : kNames) {
    if (name.text == text) return name.event;
  }
  return std::nullopt;
}

std::optional<Event> closing_event(Event event) {
  if (event == Event::allow) return Event::close;
  if (event == Event::udp_allow) return Event::udp_close;
  if (event == Event::mediation_open) return Event::mediation_close;
  return std::nullopt;
}

bool ends_flow(Event event) {
  return event == Event::close || event == Event::udp_close || event == Event::dial_error ||
         event == Event::udp_dial_error || event == Event::mediation_close || event == Event::mediation_dial_error;
}

std::string encode_record(const RecordHead& head, const Fields& fields) {
  Fields record = Fields::object();
  record["seq"] = head.seq;
  record["ts"] = head.ts;
  record["event"] = to_string(head.event);
  record["workspace"] = head.workspace;
  if (head.flow != 0) record["flow"] = head.flow;
  for (const auto& [key, value] : fields.items()) {
    MICROAGENT_CHECK(!record.contains(key) && key != "prev");
    record[key] = value;
  }
  record["prev"] = head.prev;
  return record.dump(-1, ' ', true, Fields::error_handler_t::replace);
}

std::optional<ParsedRecord> parse_record(std::string_view line) {
  const Json record = Json::parse(line, nullptr, false);
  if (!record.is_object()) return std::nullopt;
  const auto seq = number_of(record, "seq");
  const auto event = event_from_string(text_of(record, "event").value_or(""));
  auto prev = text_of(record, "prev");
  if (!seq || !event || !prev) return std::nullopt;
  return ParsedRecord{*seq,
                      *event,
                      number_of(record, "flow").value_or(0),
                      std::move(*prev),
                      text_of(record, "host").value_or(""),
                      text_of(record, "dst").value_or("")};
}

}  // namespace microagent::audit

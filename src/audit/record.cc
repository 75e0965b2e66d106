#include "audit/record.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"

namespace microagent::audit {
namespace {

constexpr std::size_t kUsualLine = 512;

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
    Name{Event::listen, "egress_listen"},
    Name{Event::dns_deny, "egress_dns_deny"},
    Name{Event::dns_reply_error, "egress_dns_reply_error"},
    Name{Event::cap_exceeded, "egress_cap_exceeded"},
    Name{Event::request, "egress_request"},
    Name{Event::request_open, "egress_request_open"},
    Name{Event::mitm_enabled, "egress_mitm_enabled"},
    Name{Event::mitm_handshake_error, "egress_mitm_handshake_error"},
    Name{Event::mitm_upstream_error, "egress_mitm_upstream_error"},
    Name{Event::swap, "egress_swap"},
    Name{Event::swap_error, "egress_swap_error"},
    Name{Event::secret_warning, "egress_secret_warning"},
    Name{Event::policy_changed, "egress_policy_changed"},
    Name{Event::quarantined, "egress_quarantined"},
    Name{Event::rotated, "egress_audit_rotated"},
    Name{Event::dropped, "egress_audit_dropped"},
};
static_assert(kNames.size() == kEvents);

std::optional<std::uint64_t> number_of(const Fields& record, const char* key) {
  const auto found = record.find(key);
  if (found == record.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

std::optional<std::string> text_of(const Fields& record, const char* key) {
  const auto found = record.find(key);
  if (found == record.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

// ASCII whatever it holds; what is no UTF-8 is replaced.
std::string dumped(const Fields& value) { return value.dump(-1, ' ', true, Fields::error_handler_t::replace); }

void append_text(std::string& line, std::string_view text) {
  if (!is_plain(text)) {
    line += dumped(text);
    return;
  }
  line += '"';
  line += text;
  line += '"';
}

void append_number(std::string& line, std::uint64_t number) {
  std::array<char, 20> digits;
  line.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

void append_value(std::string& line, const Fields& value) {
  if (const auto* text = value.get_ptr<const std::string*>()) return append_text(line, *text);
  if (value.is_number_unsigned()) return append_number(line, value.get<std::uint64_t>());
  line += dumped(value);
}

// What every record has has its place.
bool is_heads(std::string_view key, const RecordHead& head) {
  constexpr std::array<std::string_view, 5> kHeads{"seq", "ts", "event", "workspace", "prev"};
  return std::ranges::find(kHeads, key) != kHeads.end() || (key == "flow" && head.flow != 0);
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

bool is_denial(Event event) {
  switch (event) {
    case Event::deny:
    case Event::internal_deny:
    case Event::udp_deny:
    case Event::udp_internal_deny:
    case Event::dns_deny:
    case Event::mediation_deny:
    case Event::cap_exceeded: return true;
    default: return false;
  }
}

std::string ParsedRecord::text(const char* key) const { return text_of(fields, key).value_or(""); }

// A record is written for every request, so its text is put together without a second tree of it.
std::string encode_record(const RecordHead& head, const Fields& fields) {
  std::string line;
  line.reserve(kUsualLine);
  line += R"({"seq":)";
  append_number(line, head.seq);
  append_text(line.append(R"(,"ts":)"), head.ts);
  append_text(line.append(R"(,"event":)"), to_string(head.event));
  append_text(line.append(R"(,"workspace":)"), head.workspace);
  if (head.flow != 0) append_number(line.append(R"(,"flow":)"), head.flow);
  for (const auto& [key, value] : fields.items()) {
    MICROAGENT_CHECK(!is_heads(key, head));
    line += ',';
    append_text(line, key);
    line += ':';
    append_value(line, value);
  }
  append_text(line.append(R"(,"prev":)"), head.prev);
  line += '}';
  return line;
}

std::optional<ParsedRecord> parse_record(std::string_view line) {
  Fields record = Fields::parse(line, nullptr, false);
  if (!record.is_object()) return std::nullopt;
  const auto seq = number_of(record, "seq");
  const auto event = event_from_string(text_of(record, "event").value_or(""));
  auto prev = text_of(record, "prev");
  if (!seq || !event || !prev) return std::nullopt;
  const std::uint64_t flow = number_of(record, "flow").value_or(0);
  return ParsedRecord{*seq, *event, flow, std::move(*prev), std::move(record)};
}

}  // namespace microagent::audit

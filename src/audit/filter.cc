#include "audit/filter.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace microagent::audit {
namespace {

constexpr std::string_view kPrefix = "egress_";

std::string known_events() {
  std::string list;
  for (std::size_t i = 0; i < kEvents; ++i) {
    const std::string_view name = to_string(static_cast<Event>(i));
    list.append(list.empty() ? "" : ", ").append(name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name);
  }
  return list;
}

bool names_host(const std::string& wanted, std::string_view host) {
  if (host.empty()) return false;
  const std::string name = to_lower_ascii(host);
  if (!wanted.starts_with('.')) return name == wanted;
  return name.ends_with(wanted) || name == std::string_view(wanted).substr(1);
}

// "192.0.2.1:80" and "[2001:db8::1]:80" without their ports.
std::string_view address_of(std::string_view destination) {
  if (destination.starts_with('[')) return destination.substr(1, destination.find(']') - 1);
  const std::size_t colon = destination.rfind(':');
  return destination.find(':') == colon ? destination.substr(0, colon) : destination;
}

bool is_about(const std::string& host, const ParsedRecord& record) {
  return names_host(host, record.text("host")) || names_host(host, record.text("qname")) ||
         names_host(host, record.text("name")) || names_host(host, address_of(record.text("dst")));
}

std::string timestamp(std::chrono::system_clock::time_point instant) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(instant);
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(instant - seconds).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     nanoseconds);
}

std::optional<std::chrono::seconds> parse_time_ago(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end + 1 != text.data() + text.size()) return std::nullopt;
  switch (*end) {
    case 's': return std::chrono::seconds(number);
    case 'm': return std::chrono::minutes(number);
    case 'h': return std::chrono::hours(number);
    case 'd': return std::chrono::hours(24) * number;
    default: return std::nullopt;
  }
}

// Whether the text has a digit wherever the form has 9, and the form's own character elsewhere.
bool has_form(std::string_view text, std::string_view form) {
  return std::ranges::equal(text, form,
                            [](char c, char wanted) { return wanted == '9' ? c >= '0' && c <= '9' : c == wanted; });
}

// Records have nine digits behind the second, so that texts compare as instants do.
std::optional<std::string> parse_instant(std::string_view text) {
  if (has_form(text, "9999-99-99")) return std::string(text) + "T00:00:00.000000000Z";
  constexpr std::string_view kToTheSecond = "9999-99-99T99:99:99";
  if (text.size() <= kToTheSecond.size() || text.back() != 'Z') return std::nullopt;
  const std::string_view second = text.substr(0, kToTheSecond.size());
  std::string fraction(text.substr(second.size(), text.size() - second.size() - 1));
  if (!has_form(second, kToTheSecond) || fraction.size() > 10) return std::nullopt;
  if (!fraction.empty() && (fraction[0] != '.' || !has_form(fraction, "." + std::string(fraction.size() - 1, '9')))) {
    return std::nullopt;
  }
  fraction = fraction.empty() ? "." : fraction;
  fraction.resize(10, '0');
  return std::string(second) + fraction + "Z";
}

}  // namespace

Result<Event> parse_event(std::string_view word) {
  if (const auto event = event_from_string(word)) return *event;
  if (const auto event = event_from_string(std::string(kPrefix) + std::string(word))) return *event;
  return fail(ErrorKind::usage, fmt::format("there is no event \"{}\"", word),
              fmt::format("the events are: {}", known_events()));
}

Result<std::string> parse_since(std::string_view text, std::chrono::system_clock::time_point now) {
  if (const auto ago = parse_time_ago(text)) return timestamp(now - *ago);
  if (auto instant = parse_instant(text)) return std::move(*instant);
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a time", text),
              "write it like 2026-06-27T09:01:02Z, 2026-06-27, 90s, 15m, 2h or 7d");
}

bool is_denial(const ParsedRecord& record) {
  const bool unbelieved = record.event == Event::mitm_upstream_error && record.fields.contains("fault");
  return unbelieved || is_denial(record.event);
}

bool matches(const Filter& filter, const ParsedRecord& record) {
  if (!filter.events.empty() && !filter.events.contains(record.event)) return false;
  if (filter.denied && !is_denial(record)) return false;
  if (!filter.since.empty() && record.text("ts") < filter.since) return false;
  return filter.host.empty() || is_about(filter.host, record);
}

}  // namespace microagent::audit

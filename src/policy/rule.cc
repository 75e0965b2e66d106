#include "policy/rule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "policy/host.h"
#include "policy/path.h"

namespace microagent::policy {
namespace {

constexpr std::string_view kForms =
    "write HOST, .SUFFIX, *.PARENT, ADDRESS or CIDR, each with optional :PORT, such as api.example.com:443";

// What a person may read of an entry: short and printable, whatever was given.
std::string shown(std::string_view text) {
  constexpr std::size_t kMax = 80;
  std::string out;
  for (const char c : text.substr(0, kMax)) {
    if (c >= ' ' && c <= '~') out.push_back(c);
    else out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text.size() > kMax ? out + "..." : out;
}

tl::unexpected<Error> bad(std::string_view why, std::string_view remedy = kForms) {
  return fail(ErrorKind::usage, std::string(why), std::string(remedy));
}

std::optional<std::uint16_t> parse_port(std::string_view digits) {
  std::uint16_t port = 0;
  const char* last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, port);
  if (digits.empty() || digits[0] == '0' || error != std::errc() || end != last) return std::nullopt;
  return port;
}

// An entry cut at its port, if it has one.
struct Halves {
  std::string_view destination;
  std::optional<std::string_view> port;
};

Halves cut(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    const bool ipv6 = text.substr(0, close).find(':') != std::string_view::npos;
    if (close == std::string_view::npos || !ipv6) return {text, std::nullopt};
    const std::string_view behind = text.substr(close + 1);
    if (behind.empty()) return {text.substr(1, close - 1), std::nullopt};
    if (!behind.starts_with(':')) return {text, std::nullopt};
    return {text.substr(1, close - 1), behind.substr(1)};
  }
  // Behind a prefix length a colon can only start a port; before one, two colons are an IPv6 address.
  const std::size_t slash = text.find('/');
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {text, std::nullopt};
  const bool after_length = slash != std::string_view::npos && colon > slash;
  const bool only_colon = slash == std::string_view::npos && text.find(':') == colon;
  if (after_length || only_colon) return {text.substr(0, colon), text.substr(colon + 1)};
  return {text, std::nullopt};
}

// A prefix of mapped addresses is one of IPv4: that is how flows are judged.
Cidr unmapped(const Cidr& cidr) {
  const Address base = unmapped(cidr.base);
  if (base.family == cidr.base.family || cidr.length < 96) return cidr;
  return {base, static_cast<std::uint8_t>(cidr.length - 96)};
}

Status read_cidr(std::string_view text, Rule& rule) {
  const auto cidr = parse_cidr(text);
  if (!cidr) return bad("the prefix is not an IP address with a length that fits it");
  const auto address = parse_address(text.substr(0, text.find('/')));
  if (address && *address != cidr->base) {
    return bad("the prefix has bits set behind its length", fmt::format("write {}", to_string(*cidr)));
  }
  rule.kind = Rule::Kind::prefix;
  rule.destination = unmapped(*cidr);
  return {};
}

Status read_name(std::string_view text, Rule::Kind kind, Rule& rule) {
  auto host = parse_host(text);
  if (!host) return fail(ErrorKind::usage, fmt::format("the host {}", host.error().message), std::string(kForms));
  if (!std::holds_alternative<std::string>(*host)) return bad("an address has no names below it");
  rule.kind = kind;
  rule.name = std::get<std::string>(std::move(*host));
  return {};
}

Status read_host(std::string_view text, Rule& rule) {
  if (text.starts_with('.')) return read_name(text.substr(1), Rule::Kind::suffix, rule);
  if (text.starts_with("*.")) return read_name(text.substr(2), Rule::Kind::wildcard, rule);
  if (text.find('*') != std::string_view::npos) return bad("a * can stand for the first label only");
  auto host = parse_host(text);
  if (!host) return fail(ErrorKind::usage, fmt::format("the host {}", host.error().message), std::string(kForms));
  if (const auto* address = std::get_if<Address>(&*host)) {
    rule.kind = Rule::Kind::prefix;
    rule.destination = host_cidr(*address);
  } else {
    rule.kind = Rule::Kind::name;
    rule.name = std::get<std::string>(std::move(*host));
  }
  return {};
}

Status read_destination(std::string_view text, Rule& rule) {
  if (text.find("://") != std::string_view::npos) return bad("is a URL", "write its host alone");
  return text.find('/') != std::string_view::npos ? read_cidr(text, rule) : read_host(text, rule);
}

Status read_port(std::string_view text, Rule& rule) {
  const std::size_t dash = text.find('-');
  const auto first = parse_port(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_port(text.substr(dash + 1));
  if (!first || !last) return bad("the port is not a number from 1 to 65535");
  if (*first > *last) return bad("the range of ports begins behind its end");
  rule.ports.push_back({*first, *last});
  return {};
}

Status read_text(std::string_view text, Rule& rule) {
  if (text.empty()) return bad("is empty");
  const Halves halves = cut(text);
  if (Status read = read_destination(halves.destination, rule); !read) return read;
  return halves.port ? read_port(*halves.port, rule) : Status();
}

Status read_map(const RuleText& entry, Rule& rule) {
  if (entry.form == RuleText::Form::host) {
    if (entry.destination.find('/') != std::string::npos) return bad("is not a host", "write a prefix as `cidr`");
    if (cut(entry.destination).port) return bad("a host has no port here", "write the port into `ports`");
    return read_destination(cut(entry.destination).destination, rule);
  }
  if (entry.destination.find('/') != std::string::npos) return read_destination(entry.destination, rule);
  const auto address = parse_address(entry.destination);
  if (!address) return bad("is not an IP address or prefix", "write a name as `host`");
  rule.destination = host_cidr(unmapped(*address));
  return {};
}

// RFC 9110, 5.6.2 and 9.1; methods are upper case, and whoever writes `get` means GET.
Result<std::string> parse_method(std::string_view text) {
  std::string method;
  for (const char c : text) {
    const char big = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    if (!(big >= 'A' && big <= 'Z') && big != '-' && big != '_') return bad("is not a method", "write it like GET");
    method.push_back(big);
  }
  if (method.empty()) return bad("a method is empty", "write it like GET");
  return method;
}

Status read_conditions(const RuleText& entry, Rule& rule) {
  for (const std::string& port : entry.ports) {
    if (Status read = read_port(port, rule); !read) return read;
  }
  for (const std::string& text : entry.methods) {
    auto method = parse_method(text);
    if (!method) return fail(with_context(method.error(), fmt::format("method \"{}\"", shown(text))));
    rule.methods.push_back(std::move(*method));
  }
  for (const std::string& text : entry.paths) {
    auto path = parse_path_pattern(text);
    if (!path) return fail(with_context(path.error(), fmt::format("path \"{}\"", shown(text))));
    rule.paths.push_back(std::move(*path));
  }
  if (entry.max_bytes == 0U || entry.max_connections == 0U)
    return bad("a cap of 0 allows nothing", "write a deny rule");
  rule.max_bytes = entry.max_bytes;
  rule.max_connections = entry.max_connections;
  return {};
}

template <typename T>
void sort_unique(std::vector<T>& list) {
  std::ranges::sort(list);
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

// Ranges in order, those that touch or overlap as one.
void merge_ports(std::vector<PortRange>& ports) {
  std::ranges::sort(ports, {}, &PortRange::first);
  std::vector<PortRange> merged;
  for (const PortRange& range : ports) {
    if (!merged.empty() && range.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  ports = std::move(merged);
}

std::string destination_text(const Rule& rule) {
  switch (rule.kind) {
    case Rule::Kind::name: return rule.name;
    case Rule::Kind::wildcard: return "*." + rule.name;
    case Rule::Kind::suffix: return "." + rule.name;
    case Rule::Kind::prefix: break;
  }
  const bool whole = rule.destination.length == rule.destination.base.bits();
  std::string text = whole ? to_string(rule.destination.base) : to_string(rule.destination);
  const bool ipv6 = rule.destination.base.family == Address::Family::ipv6;
  return ipv6 && !rule.ports.empty() ? "[" + text + "]" : text;
}

std::string canonical_text(const Rule& rule) {
  std::string text = destination_text(rule);
  const char* separator = ":";
  for (const PortRange& range : rule.ports) {
    text += separator;
    text += range.first == range.last ? fmt::format("{}", range.first) : fmt::format("{}-{}", range.first, range.last);
    separator = ",";
  }
  if (!rule.methods.empty()) text += fmt::format(" {}", fmt::join(rule.methods, ","));
  if (!rule.paths.empty()) text += fmt::format(" {}", fmt::join(rule.paths, ","));
  return text;
}

}  // namespace

std::string_view to_string(List list) {
  switch (list) {
    case List::allow: return "allow";
    case List::deny: return "deny";
    case List::passthrough: return "passthrough";
  }
  return "unknown";
}

std::optional<List> list_from_string(std::string_view word) {
  for (const List list : {List::allow, List::deny, List::passthrough}) {
    if (to_string(list) == word) return list;
  }
  return std::nullopt;
}

RuleText rule_text(std::string_view text, std::string_view place) {
  RuleText entry;
  entry.destination = std::string(text);
  entry.place = std::string(place);
  return entry;
}

bool Rule::matches_port(std::optional<std::uint16_t> port) const {
  if (ports.empty()) return true;
  return port && std::ranges::any_of(ports, [&](const PortRange& range) { return range.contains(*port); });
}

Result<Rule> parse_rule(const RuleText& entry) {
  Rule rule;
  Status read = entry.form == RuleText::Form::text ? read_text(entry.destination, rule) : read_map(entry, rule);
  if (read) read = read_conditions(entry, rule);
  if (!read) {
    const std::string quoted = fmt::format("egress rule \"{}\"", shown(entry.destination));
    return fail(with_context(read.error(), entry.place.empty() ? quoted : entry.place + ": " + quoted));
  }
  merge_ports(rule.ports);
  sort_unique(rule.methods);
  sort_unique(rule.paths);
  rule.text = canonical_text(rule);
  rule.place = entry.place;
  return rule;
}

Result<Rule> parse_rule(std::string_view text) { return parse_rule(rule_text(text)); }

}  // namespace microagent::policy

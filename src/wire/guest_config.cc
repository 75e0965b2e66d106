#include "wire/guest_config.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstddef>

namespace microagent::wire {
namespace {

bool needs_escape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '%'; }

void append_line(std::string& text, std::string_view key, std::string_view value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  text.append(key).push_back('=');
  for (const char c : value) {
    if (!needs_escape(c)) {
      text.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    text.push_back('%');
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  text.push_back('\n');
}

void append_lines(std::string& text, std::string_view key, const std::vector<std::string>& values) {
  for (const std::string& value : values) append_line(text, key, value);
}

void append_if_any(std::string& text, std::string_view key, std::string_view value) {
  if (!value.empty()) append_line(text, key, value);
}

std::optional<char> parse_escape(std::string_view digits) {
  unsigned byte = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) return std::nullopt;
  return static_cast<char>(byte);
}

std::optional<std::string> unescape(std::string_view value) {
  std::string plain;
  while (!value.empty()) {
    const char c = value.front();
    if (c != '%') {
      if (needs_escape(c)) return std::nullopt;
      plain.push_back(c);
      value.remove_prefix(1);
      continue;
    }
    const auto escaped = parse_escape(value.substr(1, 2));
    if (!escaped) return std::nullopt;
    plain.push_back(*escaped);
    value.remove_prefix(3);
  }
  return plain;
}

struct Line {
  std::string_view key;
  std::string value;
};

// Takes the first line off `text`; nothing when it is none.
std::optional<Line> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  auto value = unescape(line.substr(equals + 1));
  if (!value) return std::nullopt;
  return Line{line.substr(0, equals), std::move(*value)};
}

// A key that may come once. An empty value is not written, so none is read.
bool set_once(std::string& field, std::string& value) {
  if (!field.empty() || value.empty()) return false;
  field = std::move(value);
  return true;
}

bool append_below(std::vector<std::string>& list, std::string& value, std::size_t limit) {
  if (list.size() >= limit) return false;
  list.push_back(std::move(value));
  return true;
}

bool take_network(GuestNetwork& network, std::string_view key, std::string& value) {
  if (key == "mac") return set_once(network.mac, value);
  if (key == "ip") return set_once(network.ip, value);
  if (key == "gateway") return set_once(network.gateway, value);
  if (key == "ip6") return set_once(network.ip6, value);
  if (key == "gateway6") return set_once(network.gateway6, value);
  if (key == "dns") return append_below(network.dns, value, kMaxGuestDns);
  if (key == "route") return append_below(network.routes, value, kMaxGuestRoutes);
  return false;
}

// A number that may come once, and is not 0.
bool set_number_once(std::uint32_t& field, std::string_view digits, std::uint32_t limit) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (field != 0 || error != std::errc() || end != digits.data() + digits.size()) return false;
  field = number;
  return number >= 1 && number <= limit;
}

bool take_image(GuestConfig& config, std::string_view key, std::string& value) {
  if (key == "command") return append_below(config.command, value, config.command.max_size());
  if (key == "image.env") return append_below(config.image_env, value, config.image_env.max_size());
  if (key == "user") return set_once(config.user, value);
  if (key == "workdir") return set_once(config.workdir, value);
  if (key == "init") return set_once(config.init, value);
  if (key == "stop-signal") return set_number_once(config.stop_signal, value, kMaxSignal);
  if (key == "volume") return append_below(config.volumes, value, kMaxGuestVolumes);
  if (key != "root" || value != "disk" || config.root_disk) return false;
  config.root_disk = true;
  return true;
}

bool take_config(GuestConfig& config, Line& line) {
  constexpr std::string_view kNetworkPrefix = "network.";
  if (line.key == "hostname") return set_once(config.hostname, line.value);
  if (line.key == "entrypoint") return set_once(config.entrypoint, line.value);
  if (line.key == "env") return append_below(config.env, line.value, config.env.max_size());
  if (!line.key.starts_with(kNetworkPrefix)) return take_image(config, line.key, line.value);
  if (!config.network) config.network.emplace();
  return take_network(*config.network, line.key.substr(kNetworkPrefix.size()), line.value);
}

bool is_address(int family, std::string_view text) {
  in6_addr address{};
  return ::inet_pton(family, std::string(text).c_str(), &address) == 1 && text.find('\0') == std::string_view::npos;
}

// The family of an address, AF_UNSPEC for what is none.
int family_of(std::string_view text) {
  if (is_address(AF_INET, text)) return AF_INET;
  return is_address(AF_INET6, text) ? AF_INET6 : AF_UNSPEC;
}

int family_of_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return AF_UNSPEC;
  const int family = family_of(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool canonical = digits == "0" || !digits.starts_with('0');
  if (error != std::errc() || end != digits.data() + digits.size() || !canonical) return AF_UNSPEC;
  return length <= (family == AF_INET ? 32U : 128U) ? family : AF_UNSPEC;
}

bool is_route(std::string_view text) {
  constexpr std::string_view kVia = " via ";
  const std::size_t via = text.find(kVia);
  if (via == std::string_view::npos) return false;
  const int family = family_of_cidr(text.substr(0, via));
  return family != AF_UNSPEC && family_of(text.substr(via + kVia.size())) == family;
}

// MICROSECONDS NAME
bool take_stage(std::vector<BootStage>& stages, std::string_view text) {
  BootStage stage;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), stage.microseconds);
  if (error != std::errc() || end == text.data() + text.size() || *end != ' ') return false;
  stage.name = text.substr(static_cast<std::size_t>(end - text.data()) + 1);
  const bool plain = stage.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz ") == std::string::npos;
  if (stage.name.empty() || stage.name.size() > kMaxStageName || !plain || stages.size() >= kMaxBootStages)
    return false;
  stages.push_back(std::move(stage));
  return true;
}

bool take_fact(GuestFacts& facts, Line& line) {
  std::string& value = line.value;
  if (line.key == "ip") return family_of_cidr(value) == AF_INET && set_once(facts.ip, value);
  if (line.key == "subnet") return family_of_cidr(value) == AF_INET && set_once(facts.subnet, value);
  if (line.key == "gateway") return family_of(value) == AF_INET && set_once(facts.gateway, value);
  if (line.key == "ip6") return family_of_cidr(value) == AF_INET6 && set_once(facts.ip6, value);
  if (line.key == "gateway6") return family_of(value) == AF_INET6 && set_once(facts.gateway6, value);
  if (line.key == "dns") return family_of(value) != AF_UNSPEC && append_below(facts.dns, value, kMaxGuestDns);
  if (line.key == "route") return is_route(value) && append_below(facts.routes, value, kMaxGuestRouteFacts);
  if (line.key == "stage") return take_stage(facts.stages, value);
  return false;
}

}  // namespace

std::string encode_guest_config(const GuestConfig& config) {
  std::string text;
  append_if_any(text, "hostname", config.hostname);
  if (config.network) {
    append_if_any(text, "network.mac", config.network->mac);
    append_if_any(text, "network.ip", config.network->ip);
    append_if_any(text, "network.gateway", config.network->gateway);
    append_if_any(text, "network.ip6", config.network->ip6);
    append_if_any(text, "network.gateway6", config.network->gateway6);
    append_lines(text, "network.dns", config.network->dns);
    append_lines(text, "network.route", config.network->routes);
  }
  append_lines(text, "env", config.env);
  append_if_any(text, "entrypoint", config.entrypoint);
  append_lines(text, "command", config.command);
  append_lines(text, "image.env", config.image_env);
  append_if_any(text, "user", config.user);
  append_if_any(text, "workdir", config.workdir);
  append_if_any(text, "init", config.init);
  if (config.stop_signal != 0) append_line(text, "stop-signal", std::to_string(config.stop_signal));
  if (config.root_disk) append_line(text, "root", "disk");
  append_lines(text, "volume", config.volumes);
  return text;
}

std::optional<GuestConfig> parse_guest_config(std::string_view text) {
  GuestConfig config;
  while (!text.empty()) {
    auto line = take_line(text);
    if (!line || !take_config(config, *line)) return std::nullopt;
  }
  return config;
}

std::string encode_guest_facts(const GuestFacts& facts) {
  std::string text;
  append_if_any(text, "ip", facts.ip);
  append_if_any(text, "subnet", facts.subnet);
  append_if_any(text, "gateway", facts.gateway);
  append_if_any(text, "ip6", facts.ip6);
  append_if_any(text, "gateway6", facts.gateway6);
  append_lines(text, "dns", facts.dns);
  append_lines(text, "route", facts.routes);
  for (const BootStage& stage : facts.stages) {
    append_line(text, "stage", std::to_string(stage.microseconds) + " " + stage.name);
  }
  return text;
}

std::optional<GuestFacts> parse_guest_facts(std::string_view text) {
  GuestFacts facts;
  while (!text.empty()) {
    auto line = take_line(text);
    if (!line || !take_fact(facts, *line)) return std::nullopt;
  }
  return facts;
}

}  // namespace microagent::wire

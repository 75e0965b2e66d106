#pragma once

// One entry of a rule list. As text: HOST, .SUFFIX, *.PARENT, ADDRESS or CIDR, each with optional :PORT; or a map with
// one of `host` and `cidr`, and `ports`, `methods`, `paths`, `maxBytes`, `maxConnections`.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/address.h"

namespace microagent::policy {

enum class List : std::uint8_t { allow, deny, passthrough };
std::string_view to_string(List list);
std::optional<List> list_from_string(std::string_view word);

// An entry as it was written.
struct RuleText {
  enum class Form : std::uint8_t { text, host, cidr };  // an entry that is a text, or the key of the map
  Form form = Form::text;
  std::string destination;         // the whole text, or the value of that key
  std::vector<std::string> ports;  // "443" or "8000-8010"
  std::vector<std::string> methods;
  std::vector<std::string> paths;  // "/v1/models", or "/v1/*" for everything below
  std::optional<std::uint64_t> max_bytes;
  std::optional<std::uint32_t> max_connections;
  std::string place;  // where it was written: "--egress-allow", "microagent.yaml:7: egress.allow[0]"

  bool operator==(const RuleText&) const = default;
};

// An entry that is a text.
RuleText rule_text(std::string_view text, std::string_view place = {});

struct PortRange {
  std::uint16_t first = 0, last = 0;
  bool contains(std::uint16_t port) const { return first <= port && port <= last; }
  bool operator==(const PortRange&) const = default;
};

struct Rule {
  enum class Kind : std::uint8_t {
    name,      // api.example.com
    wildcard,  // *.example.com: exactly one label more than `name`
    suffix,    // .example.com: `name` and everything below it
    prefix,    // an address or a CIDR
  };

  Kind kind = Kind::prefix;
  std::string name;                  // canonical, without "*." or "."; empty for a prefix
  Cidr destination;                  // of a prefix
  std::vector<PortRange> ports;      // sorted; empty: every port, and protocols without ports
  std::vector<std::string> methods;  // empty: every method
  std::vector<std::string> paths;    // canonical; empty: every path
  std::optional<std::uint64_t> max_bytes;
  std::optional<std::uint32_t> max_connections;
  std::string text;   // canonical and the same for equal rules: "api.example.com:443 GET /v1/*"; caps are not in it
  std::string place;  // where it was written; may be empty

  bool matches_port(std::optional<std::uint16_t> port) const;
  // Whether it can be judged only by looking at the requests.
  bool needs_request() const { return !methods.empty() || !paths.empty(); }
};

using RulePtr = std::shared_ptr<const Rule>;

// Kind usage; the message quotes the entry, after its place, and says what is wrong with it.
Result<Rule> parse_rule(const RuleText& entry);
Result<Rule> parse_rule(std::string_view text);

}  // namespace microagent::policy

#pragma once

// A credential swap: which hosts get which secret put into their requests, and how. The guest never holds it.

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/policy.h"
#include "policy/secret_ref.h"

namespace microagent::policy {

// An entry of `swaps` as it was written: what each field holds, and where it stands.
struct SwapText {
  std::string name;
  std::string place;                          // of the entry: "swaps.yaml:3: swaps.openai"
  nlohmann::json fields;                      // an object
  std::map<std::string, std::string> places;  // of its fields; may lack some

  bool operator==(const SwapText&) const = default;
};

struct SwapDomain {
  std::string name;     // canonical
  bool suffix = false;  // everything below it, too

  bool matches(std::string_view canonical) const;
  std::string text() const { return suffix ? "." + name : name; }
  bool operator==(const SwapDomain&) const = default;
};

// Where the secret goes.
struct Placement {
  std::string header;  // is set to before + secret + after; empty: none is
  std::string before, after;
  std::optional<std::string> basic_user;  // Authorization: Basic of USER:SECRET
  std::string query;                      // a parameter of the target's query; empty: none
  std::string placeholder;                // is replaced wherever it stands in a header; empty: none
  bool in_body = false;                   // and in bodies of text
};

struct Swap {
  enum class Type : std::uint8_t { fixed, oauth2_cc, jwt_bearer };
  enum class Algorithm : std::uint8_t { rs256, es256 };

  std::string name, place;
  Type type = Type::fixed;
  std::vector<SwapDomain> domains;
  Placement placement;

  std::optional<SecretRef> key;  // static
  // oauth2-cc; and jwt-bearer where the assertion is exchanged (RFC 7523)
  std::string token_url;
  std::optional<SecretRef> client_id, client_secret;
  std::vector<std::string> scopes;
  std::string token_response_field = "access_token";
  std::optional<std::uint32_t> token_ttl_seconds;
  // jwt-bearer
  std::optional<SecretRef> signing_key;
  std::string key_id;
  Algorithm algorithm = Algorithm::rs256;
  std::map<std::string, std::string> claims;  // "${NAME}": the variable

  // What of the environment it takes. An optional variable may be missing; what a secret one holds is for nobody else.
  struct Variable {
    std::string name;
    bool secret = false, optional = false;
  };
  std::vector<Variable> variables() const;
};

std::string_view to_string(Swap::Type type);  // "static", "oauth2-cc", "jwt-bearer"

// Not for headers that say where a message ends or whom it is for, or that belong to the connection.
bool may_hold_secret(std::string_view header);

// The variable of a claim that is "${NAME}" as a whole.
std::optional<std::string> claim_variable(std::string_view value);

using SwapPtr = std::shared_ptr<const Swap>;

// Kind usage; the message says place and field, and never repeats a value that may be a secret.
Result<Swap> parse_swap(const SwapText& text);

class SwapSet {
 public:
  SwapSet() = default;
  // Fails (usage) on the first entry that is none, on a name or a domain that stands in two, and where there are too
  // many.
  static Result<SwapSet> compile(const std::vector<SwapText>& texts);

  bool empty() const { return swaps_.empty(); }
  const std::vector<SwapPtr>& all() const { return swaps_; }
  // The swap of a canonical name: of the most specific domain that matches. Null where there is none.
  SwapPtr find(std::string_view canonical) const;

 private:
  std::vector<SwapPtr> swaps_;
};

// Why requests to the canonical name get no credential: it is denied or passed through at port 443, outside a locked
// allowlist at every port, or nothing is judged at all. Nothing where they may get it.
struct Obstacle {
  std::string_view why;
  std::string remedy;
};
std::optional<Obstacle> find_obstacle(const Policy& policy, const std::string& name);

// One line for each domain of a swap that a policy keeps from its credential: "PLACE: domain NAME: WHY".
struct Misfit {
  std::string message, remedy;
  bool operator==(const Misfit&) const = default;
};
std::vector<Misfit> find_misfits(const SwapSet& swaps, const Policy& policy);

// Fails (usage) with the first of them.
Status check_swaps(const SwapSet& swaps, const Policy& policy);

// [{"name":NAME,"place":PLACE,"fields":{...},"places":{FIELD:PLACE}}...]: in manifests and configurations.
nlohmann::json to_json(const std::vector<SwapText>& texts);
Result<std::vector<SwapText>> swaps_from_json(const nlohmann::json& json, std::string_view where);

}  // namespace microagent::policy

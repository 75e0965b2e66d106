#include "workspace/declared_mediation.h"

#include <fmt/format.h>

#include <utility>

namespace microagent::workspace {
namespace {

template <typename T>
void prefer(std::optional<T>& flag, std::optional<T>& spec) {
  if (!flag) flag = std::move(spec);
}

// Whether a value is there and is not the one that stands for nothing: 0, false, "".
template <typename T>
bool says_something(const std::optional<Declared<T>>& declared) {
  return declared && declared->value != T{};
}

bool is_configured(const DeclaredMediation& declared) {
  return says_something(declared.port) || says_something(declared.target) || says_something(declared.required) ||
         says_something(declared.fail_closed);
}

// The place of a value that makes sense only beside a port and a target.
std::string place_of_lonely(const DeclaredMediation& declared) {
  if (declared.enabled) return declared.enabled->place;
  if (declared.required) return declared.required->place;
  return declared.fail_closed->place;
}

}  // namespace

Result<bool> parse_switch(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return fail(ErrorKind::usage, fmt::format("\"{}\" is neither true nor false", text), "write true or false");
}

DeclaredMediation unite(DeclaredMediation flags, DeclaredMediation spec) {
  prefer(flags.enabled, spec.enabled);
  prefer(flags.required, spec.required);
  prefer(flags.fail_closed, spec.fail_closed);
  prefer(flags.port, spec.port);
  prefer(flags.target, spec.target);
  return flags;
}

Result<std::optional<Mediation>> resolve(const DeclaredMediation& declared) {
  const bool off = declared.enabled && !declared.enabled->value;
  if (off && is_configured(declared)) {
    return fail(ErrorKind::usage, fmt::format("{}: the channel is declared and not enabled", declared.enabled->place),
                "set it to true, or leave the other values out");
  }
  if (off) return std::nullopt;
  if (!declared.port && !declared.target) {
    if (!declared.enabled && !declared.required && !declared.fail_closed) return std::nullopt;
    return fail(ErrorKind::usage, fmt::format("{}: there is no mediation channel", place_of_lonely(declared)),
                "declare its port and its target too: --mediation PORT=HOST:PORT");
  }
  Mediation mediation;
  if (declared.port) mediation.port = declared.port->value;
  if (declared.target) mediation.target = declared.target->value;
  if (declared.required) mediation.required = declared.required->value;
  mediation.fail_closed = declared.fail_closed ? declared.fail_closed->value : mediation.required;
  return mediation;
}

}  // namespace microagent::workspace

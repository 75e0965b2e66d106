#include "policy/mode.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace microagent::policy {
namespace {

constexpr std::array<std::pair<std::string_view, ModeWord>, 7> kWords{{{"broker", {Mode::broker, false}},
                                                                       {"mitm", {Mode::mitm, false}},
                                                                       {"off", {Mode::off, false}},
                                                                       {"guarded", {Mode::mitm, false}},
                                                                       {"strict", {Mode::mitm, true}},
                                                                       {"open", {Mode::off, false}},
                                                                       {"disabled", {Mode::off, false}}}};

}  // namespace

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::broker: return "broker";
    case Mode::mitm: return "mitm";
    case Mode::off: return "off";
  }
  return "unknown";
}

Result<ModeWord> parse_mode_word(std::string_view word) {
  for (const auto& [known, meaning] : kWords) {
    if (known == word) return meaning;
  }
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not an egress mode", word), "use broker, mitm or off");
}

}  // namespace microagent::policy

#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace microagent::policy {

enum class Mode : std::uint8_t {
  broker,  // the public internet; TLS is spliced but where a swap or a rule needs the request
  mitm,    // the same; every allowed host is intercepted, but for passthrough
  off,     // nothing is judged but the host's loopback
};
std::string_view to_string(Mode mode);

// What a word of --egress means. The older words `guarded` (mitm), `strict` (mitm and lock), `open` and `disabled`
// (off) are synonyms.
struct ModeWord {
  Mode mode = Mode::broker;
  bool lock_allowlist = false;
};

// An unknown word is an error (usage), never a default.
Result<ModeWord> parse_mode_word(std::string_view word);

}  // namespace microagent::policy

#pragma once

// What the mediator and the process that holds the secrets say to each other, a packet each.

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "credentials/keeper.h"

namespace microagent::credentials {

struct Ask {
  std::uint32_t swap = 0;
  std::uint32_t reserved = 0;
  std::uint64_t refused = 0;  // the version that the upstream refused; 0: none
};

// Behind it the secret, or where `failed` is not 0 the words of the error.
struct AnswerHead {
  std::uint32_t swap = 0;
  std::uint32_t failed = 0;
  std::uint64_t version = 0;
  std::uint64_t fresh_ms = 0;
};

inline constexpr std::size_t kMaxErrorWords = 1024;
inline constexpr std::size_t kMaxAnswer = sizeof(AnswerHead) + kMaxSecret;

struct Answer {
  std::uint32_t swap = 0;
  Result<Credential> credential;
};

Secret encode_answer(std::uint32_t swap, const Result<Credential>& credential);
// Nothing for what is no answer.
std::optional<Answer> parse_answer(ByteView packet);
std::optional<Ask> parse_ask(ByteView packet);

}  // namespace microagent::credentials

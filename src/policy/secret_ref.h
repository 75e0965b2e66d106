#pragma once

// Where a secret is to be found; never the secret itself.
//   env:NAME                     a variable of the environment in which the workspace is started
//   file:PATH                    without the line end at its end
//   vault:MOUNT/data/PATH#FIELD  HashiCorp Vault's KV version 2, by VAULT_ADDR and VAULT_TOKEN
//   helper:PROGRAM WORDS...      what a program prints, without the line end at its end

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::policy {

struct SecretRef {
  enum class Scheme : std::uint8_t { env, file, vault, helper };
  Scheme scheme = Scheme::env;
  std::string target;  // what stands behind the colon
  std::string field;   // of vault, what stands behind '#'

  bool operator==(const SecretRef&) const = default;
};

// Kind usage. The message says what is wrong and never repeats the text, which may be a secret written there by
// mistake.
Result<SecretRef> parse_secret_ref(std::string_view text);

// For records and errors: "env:OPENAI_API_KEY".
std::string to_string(const SecretRef& ref);

bool is_environment_name(std::string_view text);

}  // namespace microagent::policy

#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace microagent::cli {

// Bytes of a guest in a record, none of them lost: a string under `key` where they are UTF-8, else in base64 under
// `key` with "Base64" behind it.
void add_bytes(nlohmann::json& record, const std::string& key, const std::string& bytes);

}  // namespace microagent::cli

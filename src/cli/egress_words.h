#pragma once

// What a record of the audit log says, in a few words for people.

#include <string>

#include "audit/record.h"

namespace microagent::cli {

// "GET /v1/models 200, bytesOut: 0, bytesIn: 5120": the request where it is about one, then why, then how much.
std::string words_of(const audit::ParsedRecord& record);

}  // namespace microagent::cli

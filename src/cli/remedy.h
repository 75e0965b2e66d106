#pragma once

// What to do about an error, for the records of errors: they promise that something is said
// (docs/records.schema.json), and what a system call says has no remedy of its own.

#include <string_view>

#include "base/result.h"

namespace microagent::cli {

// The error's own remedy, or what holds for all errors of its kind. Never empty.
std::string_view remedy(const Error& error);

}  // namespace microagent::cli

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace microagent {

// The machine-readable half of an error; the words a program sees in `error.kind`.
enum class ErrorKind : std::uint8_t {
  usage,      // the caller's words are wrong: exit code 2
  permanent,  // will fail again the same way
  transient,  // worth retrying: exit code 75
  conflict,   // another command or process holds what is needed
  not_found,
  resource_exhausted,  // disk, memory, descriptors, ports
  unsupported,         // this host cannot do it
  policy_denied,
};

std::string_view to_string(ErrorKind kind);

// A failure of the environment or of the user's input: what was wrong, where, and what to do.
struct Error {
  ErrorKind kind = ErrorKind::permanent;
  std::string message;
  std::string remediation;

  // True for errors that may pass by themselves (exit code 75).
  bool retryable() const { return kind == ErrorKind::transient; }
};

template <typename T>
using Result = tl::expected<T, Error>;

using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorKind kind, std::string message, std::string remediation = {}) {
  return tl::unexpected<Error>(Error{kind, std::move(message), std::move(remediation)});
}

inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// An error from errno: "<what>: <strerror>". ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM become
// resource_exhausted with a remedy, ENOENT becomes not_found, everything else permanent.
Error errno_error(int error_number, std::string_view what);
inline tl::unexpected<Error> fail_errno(int error_number, std::string_view what) {
  return tl::unexpected<Error>(errno_error(error_number, what));
}

// Puts "context: " before the message; done at most once per layer.
Error with_context(Error error, std::string_view context);

}  // namespace microagent

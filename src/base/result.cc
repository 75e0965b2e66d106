#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace microagent {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage: return "usage";
    case ErrorKind::permanent: return "permanent";
    case ErrorKind::transient: return "transient";
    case ErrorKind::conflict: return "conflict";
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::resource_exhausted: return "resource_exhausted";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::policy_denied: return "policy_denied";
  }
  return "permanent";
}

Error errno_error(int error_number, std::string_view what) {
  Error error;
  error.message.append(what).append(": ").append(std::strerror(error_number));
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      error.kind = ErrorKind::resource_exhausted;
      error.remediation = "free some disk space, or move the state with --state-dir or MICROAGENT_HOME";
      break;
    case EMFILE:
    case ENFILE:
      error.kind = ErrorKind::resource_exhausted;
      error.remediation = "raise the limit of open files (ulimit -n)";
      break;
    case ENOMEM:
      error.kind = ErrorKind::resource_exhausted;
      error.remediation = "free some memory, or give the workspace less with --memory";
      break;
    case ENOENT: error.kind = ErrorKind::not_found; break;
    default: error.kind = ErrorKind::permanent; break;
  }
  return error;
}

Error with_context(Error error, std::string_view context) {
  error.message = std::string(context) + ": " + error.message;
  return error;
}

}  // namespace microagent

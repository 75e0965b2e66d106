#include "cli/remedy.h"

namespace microagent::cli {
namespace {

std::string_view remedy(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage: return "compare it with what --help says";
    case ErrorKind::permanent: break;
    case ErrorKind::transient: return "try again in a moment";
    case ErrorKind::conflict: return "try again when the other command is done";
    case ErrorKind::not_found: return "see that it is there, and called what you called it";
    case ErrorKind::resource_exhausted: return "free some of it, then try again";
    case ErrorKind::unsupported: return "see what microagent doctor says of this host";
    case ErrorKind::policy_denied: return "see what the workspace's policy allows";
  }
  return "see what the workspace's logs and events, and microagent doctor, say";
}

}  // namespace

std::string_view remedy(const Error& error) {
  return error.remediation.empty() ? remedy(error.kind) : std::string_view(error.remediation);
}

}  // namespace microagent::cli

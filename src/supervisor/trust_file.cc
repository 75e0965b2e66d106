#include "supervisor/trust_file.h"

#include "tls/client.h"
#include "workspace/files.h"

namespace microagent::supervisor {

Result<std::string> read_trust_file(const std::filesystem::path& file) {
  auto text = workspace::read_file(file, kMaxTrustFile);
  if (!text) {
    Error error = std::move(text).error();
    error.kind = ErrorKind::usage;
    if (error.remediation.empty()) error.remediation = "give a file of certificates in PEM format that you may read";
    return fail(std::move(error));
  }
  if (const auto count = tls::check_certificates(*text); !count)
    return fail(with_context(count.error(), file.string()));
  return text;
}

}  // namespace microagent::supervisor

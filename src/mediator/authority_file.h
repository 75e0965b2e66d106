#pragma once

// Where the certificate authority of a workspace outlives the mediator, so that a guest that was restarted need not
// learn to trust another. The file holds the private key: it is its owner's only, and never leaves this directory.

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "tls/authority.h"

namespace microagent::mediator {

inline constexpr const char* kAuthorityFile = "egress-ca-key.pem";  // beside the audit log

// What the file holds, or a new one that it holds from now on: where there is none, where it cannot be read or others
// can read it too, and where its time is nearly over. The log says why.
Result<tls::Authority> keep_authority(const std::filesystem::path& file, std::string_view workspace);

// For a workspace that intercepts nothing: a key that nobody uses is one that can only be stolen.
Status forget_authority(const std::filesystem::path& file);

}  // namespace microagent::mediator

#pragma once

// The image of a workspace: what it was declared as, what that was when the workspace was created, and what its maker
// says about running it.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace microagent::workspace {

struct Image {
  std::string reference;  // as declared: docker.io/library/debian:12, oci:/path, docker-archive:/path
  std::string digest;     // of its manifest, sha256:<64 hex digits>
  // The configuration's defaults (OCI image specification, "Image Configuration").
  std::vector<std::string> entrypoint, command;
  std::vector<std::string> env;  // NAME=VALUE
  std::string user;              // NAME|UID[:GROUP|GID]; empty: root
  std::string workdir;           // absolute; empty: /
  int stop_signal = 0;           // 0: none declared

  bool operator==(const Image&) const = default;
};

// All of it, for the manifest.
nlohmann::json manifest_json(const Image& image);
// Strict, like manifest_from_json().
Result<Image> image_from_json(const nlohmann::json& json, std::string_view file);

// For `create` and `status`: reference, digest, and the defaults that are there; of the environment only the names.
nlohmann::json image_record(const Image& image);

}  // namespace microagent::workspace
